// What the page shows in place of found pictures: groups, or copies.

import { byId, fill, make, within } from './dom.js';
import { showCopies } from './copies.js';
import { learnNames, showGroups } from './groups.js';
import { empty } from './state.js';

/** @typedef {import('./state.js').Page} Page */
/** @typedef {import('./state.js').State} State */

const TITLES = { '': 'Pictures', groups: 'Groups', copies: 'Copies' };

export class Views {
  #place = byId('view');
  #abort = new AbortController();
  #shown = '';

  /** @param {Page} page @param {() => void} named a group that is shown has its name now */
  constructor(page, named) {
    this.page = page;
    this.named = named;
    for (const link of byId('views').querySelectorAll('a')) {
      link.addEventListener('click', within(() => {
        const view = link.dataset.view ?? '';
        // Back to the pictures is back to what was searched for.
        page.go(view || page.state.view ? { view } : empty());
      }));
    }
  }

  /** @param {State} state */
  show(state) {
    for (const link of byId('views').querySelectorAll('a')) {
      if (link.dataset.view === state.view) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    document.documentElement.classList.toggle('viewing', Boolean(state.view));
    this.#place.hidden = !state.view;
    byId('title').textContent = TITLES[/** @type {keyof typeof TITLES} */ (state.view)];
    const wanted = state.view || (state.group && `group ${state.group}`);
    if (wanted === this.#shown) return;
    this.#shown = wanted;
    this.#abort.abort();
    const { signal } = (this.#abort = new AbortController());
    if (state.view) void this.#look(state.view, signal);
    else {
      fill(this.#place);
      if (state.group) void learnNames(signal).then(this.named, () => {});
    }
  }

  /** The library has changed. */
  again() {
    if (!this.page.state.view) return;
    this.#shown = '';
    this.show(this.page.state);
  }

  /** @param {string} view @param {AbortSignal} signal */
  async #look(view, signal) {
    fill(this.#place);
    try {
      await (view === 'groups' ? showGroups : showCopies)(this.#place, this.page, signal);
    } catch (error) {
      if (signal.aborted) return;
      fill(this.#place, make('p', { class: 'note' }, error instanceof Error ? error.message : String(error)),
        make('button', { type: 'button', class: 'button', onclick: () => this.again() }, 'Try again'));
    }
  }
}
