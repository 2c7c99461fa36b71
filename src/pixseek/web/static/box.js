// The search box: words, pictures and words kept as chips, what could be typed next.

import { complete, thumbnailOf } from './api.js';
import { announce, byId, fill, iconButton, make, settled } from './dom.js';
import { icon } from './icons.js';
import { keep, picturesIn, uploaded } from './uploads.js';
import { titleOf, valueName } from './wording.js';

/** @typedef {import('./api.js').Completion} Completion */
/** @typedef {import('./state.js').Page} Page */
/** @typedef {import('./state.js').State} State */

/** Milliseconds after the last letter until the search is sent. */
const TYPED = 110;
const COMPLETED = 70;

export class Box {
  #input = /** @type {HTMLInputElement} */ (byId('q'));
  #list = byId('completions');
  #chips = byId('chips');
  /** @type {Completion[]} */
  #offers = [];
  #at = -1;
  #abort = new AbortController();

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    const input = this.#input;
    const search = settled(() => page.go({ q: input.value, open: '' }, 'type'), TYPED);
    const offer = settled(() => void this.#offer(), COMPLETED);
    input.addEventListener('input', () => {
      this.#dress();
      search();
      offer();
    });
    input.addEventListener('keydown', (event) => this.#key(event));
    input.addEventListener('blur', () => setTimeout(() => this.#close(), 120));
    byId('search').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#close();
      page.go({ q: input.value, open: '' }, 'type');
      if (matchMedia('(pointer: coarse)').matches) input.blur();
    });
    const file = /** @type {HTMLInputElement} */ (byId('file'));
    file.addEventListener('change', () => {
      void this.#pictures([...(file.files ?? [])]);
      file.value = '';
    });
    byId('upload').addEventListener('click', () => file.click());
    byId('as-chip').addEventListener('click', () => this.#chip(''));
    byId('as-minus').addEventListener('click', () => this.#chip('-'));
    byId('clear').addEventListener('click', () => {
      page.go({ q: '', words: [], like: [], unlike: [], images: [], open: '' });
      input.focus();
    });
    this.#drops();
    addEventListener('paste', (event) => {
      const pictures = picturesIn(event.clipboardData);
      if (pictures.length) void this.#pictures(pictures);
    });
  }

  focus() {
    this.#input.focus();
    this.#input.select();
  }

  /** @param {State} state @param {boolean} typing the person's own letters stay as they are */
  show(state, typing) {
    if (!typing && this.#input.value !== state.q) this.#input.value = state.q;
    this.#dress();
    const { page } = this;
    /** @param {'words' | 'like' | 'unlike' | 'images'} list @param {string} one */
    const without = (list, one) => () => {
      page.go({ [list]: page.state[list].filter((other) => other !== one), open: '' });
      this.#input.focus();
    };
    fill(
      this.#chips,
      ...state.words.map((word) => this.#wordChip(word, without('words', word))),
      ...state.like.map((id) => pictureChip(thumbnailOf(id), 'like', without('like', id), () => this.#flip(id))),
      ...state.unlike.map((id) => pictureChip(thumbnailOf(id), 'unlike', without('unlike', id), () => this.#flip(id))),
      ...state.images.map((key) => {
        const upload = uploaded(key);
        return pictureChip(upload?.address ?? '', 'like', without('images', key), null, upload?.name);
      }),
    );
    this.#chips.hidden = !this.#chips.childElementCount;
  }

  #dress() {
    const { state } = this.page;
    const typed = Boolean(this.#input.value.trim());
    const chips = state.words.length + state.like.length + state.unlike.length + state.images.length;
    byId('as-chip').hidden = !typed;
    byId('as-minus').hidden = !typed;
    byId('clear').hidden = !typed && !chips;
    this.#input.placeholder = chips ? 'and …' : 'What does the picture show?';
  }

  /** @param {string} word @param {() => void} remove */
  #wordChip(word, remove) {
    const away = word.startsWith('-');
    const text = away ? word.slice(1) : word;
    const flip = () => {
      const other = away ? text : `-${text}`;
      this.page.go({ words: this.page.state.words.map((one) => (one === word ? other : one)), open: '' });
    };
    return make(
      'li',
      { class: away ? 'chip away-from' : 'chip' },
      sign(away, text, flip),
      make('span', { class: 'chip-text' }, text),
      iconButton(icon('close', 14), `Remove ${text}`, remove),
    );
  }

  /** Nearer or away: the other of the two. @param {string} id */
  #flip(id) {
    const { like, unlike } = this.page.state;
    const without = (/** @type {string[]} */ ids) => ids.filter((one) => one !== id);
    if (like.includes(id)) this.page.go({ like: without(like), unlike: [...unlike, id] });
    else this.page.go({ like: [...like, id], unlike: without(unlike) });
  }

  /** Keeps what is typed as a chip. @param {'' | '-'} prefix */
  #chip(prefix) {
    const text = this.#input.value.trim().replace(/^-\(([^()]*)\)$/, '-$1');
    if (!text) return;
    this.#input.value = '';
    this.#close();
    this.page.go({ q: '', words: [...this.page.state.words.filter((one) => one !== prefix + text), prefix + text], open: '' });
    this.#input.focus();
  }

  /** @param {File[]} files */
  async #pictures(files) {
    const keys = [];
    for (const file of files) keys.push(await keep(file));
    if (!keys.length) {
      announce('That is not a picture');
      return;
    }
    // A picture is a search of its own, unless there is one to add it to.
    this.page.go({ images: [...this.page.state.images, ...keys], open: '' });
  }

  #drops() {
    const veil = byId('drop');
    let depth = 0;
    const carries = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes('Files');
    addEventListener('dragenter', (event) => {
      if (!carries(event)) return;
      depth += 1;
      veil.hidden = false;
    });
    addEventListener('dragleave', (event) => {
      if (!carries(event)) return;
      depth -= 1;
      if (depth <= 0) veil.hidden = true;
    });
    addEventListener('dragover', (event) => {
      if (carries(event)) event.preventDefault();
    });
    addEventListener('drop', (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      depth = 0;
      veil.hidden = true;
      void this.#pictures(picturesIn(event.dataTransfer));
    });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const open = !this.#list.hidden;
    if (event.key === 'Backspace' && !this.#input.value) {
      event.preventDefault();
      this.#takeBack();
    } else if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.#chip(event.shiftKey ? '-' : '');
    } else if (event.key === 'Escape' && open) {
      event.preventDefault();
      event.stopPropagation();
      this.#close();
    } else if (event.key === 'Escape') this.#input.blur();
    else if (open && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      event.preventDefault();
      const way = event.key === 'ArrowDown' ? 1 : -1;
      const count = this.#offers.length;
      this.#at = this.#at < 0 && way < 0 ? count - 1 : (this.#at + way + count) % count;
      this.#point();
    } else if (open && (event.key === 'Tab' || event.key === 'Enter') && this.#at >= 0) {
      event.preventDefault();
      this.#accept(this.#at);
    } else if (event.key === 'ArrowDown' && !open) {
      event.preventDefault();
      /** @type {HTMLElement | null} */ (document.querySelector('#grid a[tabindex="0"]'))?.focus();
    }
  }

  /** The last chip becomes text again. */
  #takeBack() {
    const { state } = this.page;
    for (const list of /** @type {const} */ (['images', 'unlike', 'like', 'words'])) {
      const last = state[list].at(-1);
      if (last === undefined) continue;
      const q = list === 'words' ? last.replace(/^-(.* .*)$/, '-($1)') : '';
      this.page.go({ [list]: state[list].slice(0, -1), q, open: '' });
      this.#input.value = q;
      return;
    }
  }

  /** The word that is being typed, and where it begins. */
  #word() {
    const before = this.#input.value.slice(0, this.#input.selectionStart ?? undefined);
    const match = /(?:^|[\s(])-?((?:[a-z_]+:)?(?:"[^"]*|[^\s"()]*))$/i.exec(before);
    const text = match?.[1] ?? '';
    return { text, start: before.length - text.length, end: before.length };
  }

  async #offer() {
    const { text } = this.#word();
    this.#abort.abort();
    this.#abort = new AbortController();
    if (text.length < 2 || document.activeElement !== this.#input) {
      this.#close();
      return;
    }
    try {
      const offers = await complete(text.replaceAll('"', ''), this.#abort.signal);
      // What is in the library comes before what could be asked of it.
      offers.sort((a, b) => Number(a.value === null) - Number(b.value === null));
      this.#offers = offers.slice(0, 8);
      this.#at = -1;
      this.#draw();
    } catch {
      this.#close();
    }
  }

  #draw() {
    fill(
      this.#list,
      ...this.#offers.map((offer, index) =>
        make(
          'li',
          {
            role: 'option', id: `offer-${index}`, 'aria-selected': 'false',
            onpointerdown: (/** @type {Event} */ event) => {
              event.preventDefault();
              this.#accept(index);
            },
          },
          make('span', { class: 'offer-text' }, offer.value === null ? `${offer.field}:` : valueName(offer.field, offer.value)),
          make('span', { class: 'offer-label' }, offer.value === null ? offer.meaning : titleOf(offer.field)),
          offer.count !== null && make('span', { class: 'count' }, offer.count.toLocaleString('en')),
        ),
      ),
    );
    this.#list.hidden = !this.#offers.length;
    this.#input.setAttribute('aria-expanded', String(!this.#list.hidden));
    this.#point();
  }

  #point() {
    [...this.#list.children].forEach((option, index) => {
      option.setAttribute('aria-selected', String(index === this.#at));
    });
    if (this.#at < 0) this.#input.removeAttribute('aria-activedescendant');
    else this.#input.setAttribute('aria-activedescendant', `offer-${this.#at}`);
  }

  /** A field is typed out; a value becomes a filter in place of what was typed. @param {number} index */
  #accept(index) {
    const offer = this.#offers[index];
    if (!offer) return;
    const { start, end } = this.#word();
    const { value } = this.#input;
    const text = offer.value === null ? `${offer.field}:` : '';
    this.#input.value = value.slice(0, start) + text + value.slice(end).trimStart();
    this.#input.setSelectionRange(start + text.length, start + text.length);
    this.#close();
    if (offer.value === null) void this.#offer();
    else {
      const { chosen } = this.page.state;
      const had = chosen[offer.field] ?? [];
      const values = had.includes(offer.value) ? had : [...had, offer.value];
      this.page.go({ q: this.#input.value.trim(), chosen: { ...chosen, [offer.field]: values }, open: '' });
    }
    this.#dress();
  }

  #close() {
    this.#list.hidden = true;
    this.#at = -1;
    this.#input.setAttribute('aria-expanded', 'false');
    this.#input.removeAttribute('aria-activedescendant');
  }
}

/** @param {boolean} away @param {string} text @param {() => void} flip */
function sign(away, text, flip) {
  const label = away ? `${text}: pushed away; look for it instead` : `${text}: looked for; push away instead`;
  return iconButton(icon(away ? 'minus' : 'plus', 14), label, flip, { class: 'icon-button sign' });
}

/**
 * @param {string} address of the picture; '' when it is gone
 * @param {'like' | 'unlike'} kind
 * @param {() => void} remove
 * @param {(() => void) | null} flip
 * @param {string} [name]
 */
function pictureChip(address, kind, remove, flip, name) {
  const what = name ?? 'this picture';
  return make(
    'li',
    { class: kind === 'unlike' ? 'chip picture away-from' : 'chip picture' },
    flip && sign(kind === 'unlike', what, flip),
    address
      ? make('img', { src: address, alt: kind === 'like' ? `like ${what}` : `unlike ${what}` })
      : make('span', { class: 'chip-text' }, 'picture not kept'),
    iconButton(icon('close', 14), `Remove ${what}`, remove),
  );
}
