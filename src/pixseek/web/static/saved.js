// Searches that were kept: in this browser, and in the library for everybody.

import { forgetSearch, saveSearch, savedSearches } from './api.js';
import { announce, byId, fill, iconButton, make, within } from './dom.js';
import { icon } from './icons.js';
import { asks, empty, isNarrowed, read, searchKey, wholeLine, write } from './state.js';
import { groupName } from './groups.js';
import { monthsName, titleOf, valueName } from './wording.js';

/** @typedef {import('./api.js').SavedSearch} SavedSearch */
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
  if (state.group) parts.push(groupName(state.group));
  if (state.view) parts.push(state.view);
  return parts.join(' · ');
}

export class SavedSearches {
  /** @type {SavedSearch[]} of the library */
  #shared = [];
  #dialog = /** @type {HTMLDialogElement} */ (byId('naming'));
  #name = /** @type {HTMLInputElement} */ (byId('naming-name'));

  /** @param {Page} page @param {() => boolean} writable whether the library's may be changed here */
  constructor(page, writable) {
    this.page = page;
    this.writable = writable;
    byId('save').addEventListener('click', () => this.#toggle());
    byId('naming-close').addEventListener('click', () => this.#dialog.close());
    byId('naming-here').addEventListener('click', () => {
      this.#dialog.close();
      this.#toggleHere();
    });
    byId('naming-form').addEventListener('submit', () => void this.#share());
    const said = () => {
      byId('naming-command').textContent = `pixseek search @${this.#name.value}`;
    };
    this.#name.addEventListener('input', said);
    addEventListener('storage', (event) => {
      if (event.key === KEPT) this.show();
    });
    this.show();
  }

  /** Asks for those of the library. */
  look() {
    void this.#change(savedSearches());
  }

  /** @param {Promise<SavedSearch[]>} change @param {string} [said] */
  async #change(change, said) {
    try {
      const now = await change;
      const same = JSON.stringify(now) === JSON.stringify(this.#shared);
      this.#shared = now;
      if (!same) this.show();
      if (said) announce(said);
    } catch (error) {
      if (said) announce(error instanceof Error ? error.message : String(error));
    }
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
    const line = wholeLine(state);
    const shared = this.#shared.find((one) => one.line === line);
    if (this.#all().some((one) => one.address === searchKey(state))) this.#toggleHere();
    else if (shared && this.writable()) void this.#change(forgetSearch(shared.name), 'Search removed from the library');
    else if (line === null || !this.writable()) this.#toggleHere();
    else {
      const words = named(state).toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '');
      this.#name.value = words.slice(0, 40);
      this.#name.dispatchEvent(new Event('input'));
      this.#dialog.showModal();
      this.#name.select();
    }
  }

  async #share() {
    const line = wholeLine(this.page.state);
    const name = this.#name.value.trim();
    if (line) await this.#change(saveSearch(name, line), `Search saved in the library as @${name}`);
  }

  #toggleHere() {
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
    const line = wholeLine(state);
    const save = byId('save');
    // A picture that was dropped here is known to this browser only, and not for ever.
    save.hidden = !(asks(state) || isNarrowed(state)) || state.images.length > 0;
    const is = all.some((one) => one.address === address) || this.#shared.some((one) => one.line === line);
    save.setAttribute('aria-pressed', String(is));
    save.setAttribute('aria-label', is ? 'Remove this saved search' : 'Save this search');
    save.title = is ? 'Remove this saved search' : 'Save this search';
    byId('saved').hidden = !all.length && !this.#shared.length;
    fill(byId('saved-library'), ...this.#shared.map((one) => {
      const forget = this.writable() && iconButton(icon('close', 14), `Remove ${one.name} from the library`, () => void this.#change(forgetSearch(one.name), 'Search removed from the library'));
      return this.#entry(`@${one.name}`, one.line, write({ ...empty(), q: one.line }), one.line === line, forget);
    }));
    fill(byId('saved-list'), ...all.map((one) => {
      const forget = iconButton(icon('close', 14), `Forget ${one.name}`, () => this.#keep(all.filter((other) => other !== one)));
      return this.#entry(one.name, one.name, one.address, one.address === address, forget);
    }));
  }

  /** @param {string} name @param {string} title @param {string} address @param {boolean} current @param {HTMLElement | false} forget */
  #entry(name, title, address, current, forget) {
    return make(
      'li',
      { class: current ? 'current' : '' },
      make('a', {
        href: address, title, 'aria-current': current ? 'page' : null,
        onclick: within(() => this.page.go(read(address.slice(1), ''))),
      }, name),
      forget,
    );
  }
}
