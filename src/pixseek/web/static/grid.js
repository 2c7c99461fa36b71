// The grid: as many elements as a few screens hold, however many pictures were found.

import { thumbnailOf } from './api.js';
import { byId, iconButton, make } from './dom.js';
import { icon } from './icons.js';
import { Layout } from './layout.js';
import { hitKey } from './results.js';
import { clock, hitName } from './wording.js';

/** @typedef {import('./api.js').Hit} Hit */
/** @typedef {import('./layout.js').Place} Place */
/** @typedef {{element: HTMLElement, link: HTMLAnchorElement, choose: HTMLButtonElement, index: number, key: string}} Tile */
/**
 * @typedef {object} Acts
 * @property {(index: number) => void} open
 * @property {(hit: Hit) => void} like
 * @property {(index: number, through: boolean) => void} choose through: all from the last one chosen
 * @property {() => void} more
 */

/** Screens above and below that are laid out too. */
const BEYOND = 1.2;
/** Milliseconds of a long touch. */
const LONG = 450;

export class Grid {
  /** @type {Hit[]} */
  hits = [];
  total = 0;
  current = 0;
  /** @type {Set<string>} */
  chosen = new Set();
  #box = byId('grid');
  #layout = new Layout(1, 1, 1);
  /** @type {Map<number, Tile>} by place in the list */
  #tiles = new Map();
  #frame = 0;
  #wanted = 190;

  /** @param {Acts} acts */
  constructor(acts) {
    this.acts = acts;
    addEventListener('scroll', () => this.#later(), { passive: true });
    addEventListener('resize', () => this.#later());
    new ResizeObserver(() => this.#resized()).observe(this.#box);
    this.#box.addEventListener('keydown', (event) => this.#key(event));
  }

  /** @param {number} pixels height of a row, about */
  set rowHeight(pixels) {
    this.#wanted = pixels;
    this.#resized();
  }

  /**
   * @param {Hit[]} hits
   * @param {number} total
   * @param {boolean} fresh of another search
   */
  show(hits, total, fresh) {
    this.hits = hits;
    this.total = total;
    const within = this.#box.contains(document.activeElement);
    if (fresh) {
      this.current = 0;
      this.#relay();
    } else {
      this.#layout.extend(hits);
      this.#size();
      // The last row may have been laid again.
      for (const [index, tile] of this.#tiles) this.#place(tile, index);
    }
    this.#paint();
    if (within && !this.#box.contains(document.activeElement)) this.#tiles.get(0)?.link.focus({ preventScroll: true });
  }

  /** Which tiles are marked as chosen. @param {Set<string>} chosen */
  mark(chosen) {
    this.chosen = chosen;
    this.#box.classList.toggle('choosing', chosen.size > 0);
    for (const tile of this.#tiles.values()) this.#dress(tile);
  }

  /** Where a picture stands in the window, for the viewer to open from. @param {number} index */
  elementOf(index) {
    return this.#tiles.get(index)?.element ?? null;
  }

  /** Brings a picture into view and the keyboard to it. @param {number} index @param {boolean} [focus] */
  reveal(index, focus = true) {
    const row = this.#layout.rows[this.#layout.rowOf(index)];
    if (!row) return;
    this.current = index;
    const top = this.#top() + row.top;
    const bar = byId('bar').getBoundingClientRect().bottom + 8;
    if (top < scrollY + bar) scrollTo({ top: top - bar });
    else if (top + row.height > scrollY + innerHeight) scrollTo({ top: top + row.height - innerHeight + 12 });
    this.#paint();
    if (focus) this.#tiles.get(index)?.link.focus({ preventScroll: true });
  }

  #later() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#paint();
    });
  }

  #resized() {
    const width = this.#box.clientWidth;
    if (width === this.#layout.width && this.#wanted === this.#layout.wanted) return;
    const anchor = this.#layout.rows[this.#layout.rowAt(scrollY - this.#top())]?.places[0]?.index ?? 0;
    const scrolled = scrollY > this.#top();
    this.#relay();
    const row = this.#layout.rows[this.#layout.rowOf(anchor)];
    if (scrolled && row) scrollTo({ top: this.#top() + row.top });
    this.#paint();
  }

  #relay() {
    const width = this.#box.clientWidth;
    this.#layout = new Layout(width, this.#wanted, width < 560 ? 3 : 6);
    this.#layout.extend(this.hits);
    this.#size();
    // A picture that is found at the same place again stays, so that nothing flickers.
    for (const [index, tile] of this.#tiles) {
      const hit = this.hits[index];
      if (hit && hitKey(hit) === tile.key) this.#place(tile, index);
      else {
        dropped(tile);
        this.#tiles.delete(index);
      }
    }
  }

  #size() {
    this.#box.style.height = `${this.#layout.height}px`;
  }

  #top() {
    return this.#box.getBoundingClientRect().top + scrollY;
  }

  #paint() {
    const { rows } = this.#layout;
    const y = scrollY - this.#top();
    const first = Math.max(0, this.#layout.rowAt(y - BEYOND * innerHeight));
    const last = this.#layout.rowAt(y + (1 + BEYOND) * innerHeight);
    const from = rows[first]?.places[0]?.index ?? 0;
    const to = rows[last]?.places.at(-1)?.index ?? -1;
    for (const [index, tile] of this.#tiles) {
      const stays = (index >= from && index <= to) || tile.link === document.activeElement;
      if (!stays) {
        dropped(tile);
        this.#tiles.delete(index);
      }
    }
    /** @type {HTMLElement[]} */
    const added = [];
    for (let index = from; index <= to; index += 1) {
      if (this.#tiles.has(index)) continue;
      const tile = this.#tile(index);
      if (!tile) continue;
      this.#tiles.set(index, tile);
      added.push(tile.element);
    }
    this.#box.append(...added);
    this.#stop();
    if (y + 4 * innerHeight > this.#layout.height) this.acts.more();
  }

  /** One tile can be reached with Tab; the arrows go on from it. */
  #stop() {
    const at = this.#tiles.has(this.current) ? this.current : Math.min(...this.#tiles.keys());
    for (const [index, tile] of this.#tiles) {
      const reach = index === at ? '0' : '-1';
      for (const one of tile.element.querySelectorAll('a, button')) one.setAttribute('tabindex', reach);
    }
  }

  /** @param {number} index @returns {Tile | null} */
  #tile(index) {
    const hit = this.hits[index];
    if (!hit) return null;
    const image = make('img', { alt: '', decoding: 'async', draggable: 'false' });
    image.addEventListener('load', () => image.classList.add('ready'), { once: true });
    image.addEventListener('error', () => link.classList.add('broken'), { once: true });
    // What is in the window is fetched before what is about to be.
    image.fetchPriority = this.#isSeen(index) ? 'high' : 'low';
    image.src = thumbnailOf(hit.id);
    if (image.complete && image.naturalWidth) image.classList.add('ready');
    const link = make('a', { class: 'tile', href: `#${hit.id}`, 'aria-label': hitName(hit) }, image);
    this.#pressed(link, index);
    link.addEventListener('click', (event) => {
      if (event.ctrlKey || event.metaKey || event.button) return;
      event.preventDefault();
      if (event.shiftKey || this.chosen.size) this.acts.choose(index, event.shiftKey);
      else this.acts.open(index);
    });
    const mark = markOf(hit);
    if (mark) link.append(mark);
    const caption = make('span', { class: 'under', 'aria-hidden': 'true' }, hit.name);
    link.append(caption);
    const choose = iconButton(icon('check', 16), `Select ${hit.name}`, (event) => this.acts.choose(index, event.shiftKey), { class: 'icon-button choose', 'aria-pressed': 'false' });
    const like = iconButton(icon('like', 16), `More like ${hit.name}`, () => this.acts.like(hit), { class: 'icon-button similar' });
    const element = make('div', { class: 'cell', role: 'listitem' }, link, choose, like);
    const tile = { element, link, choose, index, key: hitKey(hit) };
    this.#place(tile, index);
    this.#dress(tile);
    return tile;
  }

  /** Whether a picture's row is in the window. @param {number} index */
  #isSeen(index) {
    const row = this.#layout.rows[this.#layout.rowOf(index)];
    const y = scrollY - this.#top();
    return Boolean(row && row.top < y + innerHeight && row.top + row.height > y);
  }

  /** A long touch selects: there is no hovering over a button. @param {HTMLElement} link @param {number} index */
  #pressed(link, index) {
    let timer = 0;
    let done = false;
    const stop = () => clearTimeout(timer);
    link.addEventListener('pointerdown', (event) => {
      done = false;
      if (event.pointerType === 'mouse') return;
      timer = window.setTimeout(() => {
        done = true;
        this.acts.choose(index, false);
      }, LONG);
    });
    for (const kind of ['pointerup', 'pointercancel', 'pointerleave']) link.addEventListener(kind, stop);
    link.addEventListener('contextmenu', (event) => {
      if (done || /** @type {PointerEvent} */ (event).pointerType === 'touch') event.preventDefault();
    });
    link.addEventListener('click', (event) => {
      if (!done) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      done = false;
    });
  }

  /** @param {Tile} tile @param {number} index */
  #place(tile, index) {
    const row = this.#layout.rows[this.#layout.rowOf(index)];
    const place = row?.places.find((one) => one.index === index);
    if (!row || !place) return;
    const { style } = tile.element;
    style.transform = `translate(${place.left.toFixed(2)}px, ${row.top.toFixed(2)}px)`;
    style.width = `${place.width.toFixed(2)}px`;
    style.height = `${row.height.toFixed(2)}px`;
    tile.element.setAttribute('aria-posinset', String(index + 1));
    tile.element.setAttribute('aria-setsize', String(Math.max(this.total, this.hits.length)));
  }

  /** @param {Tile} tile */
  #dress(tile) {
    const chosen = this.chosen.has(tile.key);
    tile.element.classList.toggle('chosen', chosen);
    tile.choose.setAttribute('aria-pressed', String(chosen));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const last = this.hits.length - 1;
    const { current } = this;
    /** @type {Record<string, () => number>} */
    const ways = {
      ArrowLeft: () => current - 1,
      ArrowRight: () => current + 1,
      ArrowUp: () => this.#layout.beside(current, -1),
      ArrowDown: () => this.#layout.beside(current, 1),
      Home: () => 0,
      End: () => last,
    };
    const way = ways[event.key];
    if (way) {
      event.preventDefault();
      this.reveal(Math.max(0, Math.min(last, way())));
    } else if (event.key === 'x') {
      event.preventDefault();
      this.acts.choose(current, event.shiftKey);
    } else if (event.key === 'm' && this.hits[current]) {
      event.preventDefault();
      this.acts.like(/** @type {Hit} */ (this.hits[current]));
    }
  }
}

/** Says that a picture is a moment of something longer, or a page. @param {Hit} hit */
function markOf(hit) {
  if (hit.page) return make('span', { class: 'film' }, `page ${hit.page}`);
  if (hit.media !== 'video' && hit.media !== 'animation') return null;
  return make('span', { class: 'film' }, icon('play', 12), typeof hit.moment === 'number' ? clock(hit.moment) : '');
}

/** Takes a tile off the page; a picture on its way no more holds up those of the next search. @param {Tile} tile */
function dropped(tile) {
  const image = tile.element.querySelector('img');
  if (image && !image.complete) image.removeAttribute('src');
  tile.element.remove();
}
