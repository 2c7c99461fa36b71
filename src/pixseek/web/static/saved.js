// Searches that were kept, in this browser.

import { announce, byId, fill, iconButton, make } from './dom.js';
import { icon } from './icons.js';
import { asks, isNarrowed, read, searchKey } from './state.js';
import { monthsName, titleOf, valueName } from './wording.js';

/** @typedef {import('./state.js').Page} Page */
/** @typedef {import('./state.js').State} State */
/** @typedef {{name: string, address: string}} Saved */

const KEPT = 'pixseek:searches';
const MOST = 50;

/** A search in a few words: what the window and a saved search are called. @param {State} state */
export function named(state) {
  const parts = [];
  const words = [...state.words.map((word) => word.replace(/^-/, 'not ')), state.q.trim()].filter(Boolean);
  if (words.length) parts.push(words.join(', '));
  const pictures = state.like.length + state.images.length;
  if (pictures) parts.push(pictures === 1 ? 'like a picture' : `like ${pictures} pictures`);
  if (state.unlike.length) parts.push(`unlike ${state.unlike.length}`);
  for (const [field, values] of Object.entries(state.chosen)) {
    parts.push(`${titleOf(field)} ${values.map((value) => valueName(field, value)).join(' or ')}`);
  }
  if (state.months) parts.push(monthsName(state.months));
  if (state.area) parts.push('part of the map');
  if (state.where) parts.push('filtered');
  return parts.join(' · ');
}

export class SavedSearches {
  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    byId('save').addEventListener('click', () => this.#toggle());
    addEventListener('storage', (event) => {
      if (event.key === KEPT) this.show();
    });
    this.show();
  }

  /** @returns {Saved[]} */
  #all() {
    try {
      const found = JSON.parse(localStorage.getItem(KEPT) ?? '[]');
      return Array.isArray(found) ? found.filter((one) => typeof one?.address === 'string') : [];
    } catch {
      return [];
    }
  }

  /** @param {Saved[]} all */
  #keep(all) {
    localStorage.setItem(KEPT, JSON.stringify(all.slice(0, MOST)));
    this.show();
  }

  #toggle() {
    const { state } = this.page;
    const address = searchKey(state);
    const all = this.#all();
    const others = all.filter((one) => one.address !== address);
    if (others.length < all.length) announce('Search removed');
    else {
      others.unshift({ name: named(state), address });
      announce('Search saved in this browser');
    }
    this.#keep(others);
  }

  show() {
    const { state } = this.page;
    const all = this.#all();
    const address = searchKey(state);
    const save = byId('save');
    // A picture that was dropped here is not kept, so neither is a search by it.
    save.hidden = !(asks(state) || isNarrowed(state)) || state.images.length > 0;
    const is = all.some((one) => one.address === address);
    save.setAttribute('aria-pressed', String(is));
    save.setAttribute('aria-label', is ? 'Remove this saved search' : 'Save this search');
    save.title = is ? 'Remove this saved search' : 'Save this search';
    byId('saved').hidden = !all.length;
    fill(
      byId('saved-list'),
      ...all.map((one) =>
        make(
          'li',
          { class: one.address === address ? 'current' : '' },
          make('a', {
            href: one.address, title: one.name,
            'aria-current': one.address === address ? 'page' : null,
            onclick: (/** @type {MouseEvent} */ event) => {
              if (event.ctrlKey || event.metaKey || event.shiftKey) return;
              event.preventDefault();
              this.page.go(read(one.address.slice(1), ''));
            },
          }, one.name),
          iconButton(icon('close', 14), `Forget ${one.name}`, () => this.#keep(all.filter((other) => other !== one))),
        ),
      ),
    );
  }
}
