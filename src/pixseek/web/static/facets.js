// What the pictures found have in common, with counts: the panel beside the grid, and the chips
// of what was chosen in it.

import { facets } from './api.js';
import { byId, fill, iconButton, make } from './dom.js';
import { icon } from './icons.js';
import { WIDE, filterOf, parametersOf } from './state.js';
import { groupName } from './groups.js';
import { monthsName, titleOf, valueName } from './wording.js';

/** @typedef {import('./api.js').Facets} Facets */
/** @typedef {import('./api.js').FacetValue} FacetValue */
/** @typedef {import('./state.js').Page} Page */
/** @typedef {import('./state.js').State} State */

const ORDER = ['year', 'tags', 'people', 'country', 'region', 'city', 'place', 'labels', 'folder', 'camera_model', 'lens', 'orientation', 'rating', 'keywords'];
/** Fields that say again what another says. */
const HIDDEN = new Set(['month', 'camera_make', 'extension', 'format']);
const AT_FIRST = 6;
const BY_VALUE = new Set(['year', 'rating']);

export class FacetPanel {
  #box = byId('facets');
  /** @type {Set<string>} fields whose values are all shown */
  #whole = new Set();
  /** @type {Set<string>} fields that are folded */
  #folded = new Set(JSON.parse(localStorage.getItem('pixseek:folded') ?? '[]'));
  #abort = new AbortController();

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
  }

  /** @param {State} state */
  async look(state) {
    this.#abort.abort();
    const { signal } = (this.#abort = new AbortController());
    // The values beside a chosen one are counted as if it were not chosen: they can be added.
    const fields = Object.keys(state.chosen);
    try {
      const [all, ...others] = await Promise.all([
        facets(parametersOf(state), signal),
        ...fields.map((field) => facets(parametersOf(state, field), signal)),
      ]);
      const found = { ...all };
      fields.forEach((field, index) => {
        found[field] = others[index]?.[field] ?? [];
      });
      if (!signal.aborted) this.#show(state, found);
    } catch {
      // Without counts the panel stays as it was.
    }
  }

  /** @param {State} state @param {Facets} found */
  #show(state, found) {
    const rank = (/** @type {string} */ field) => (ORDER.includes(field) ? ORDER.indexOf(field) : ORDER.length);
    const fields = Object.keys(found)
      .filter((field) => !HIDDEN.has(field) || field in state.chosen)
      .sort((a, b) => rank(a) - rank(b));
    this.#root = rootOf(telling(found.folder ?? [], []).map((one) => String(one.value)));
    this.#most = Math.max(1, ...fields.filter((field) => field !== 'folder').flatMap((field) => (found[field] ?? []).map((one) => one.count)));
    const sections = fields.map((field) => this.#section(state, field, found[field] ?? []));
    const active = document.activeElement;
    const focused = active instanceof HTMLElement && this.#box.contains(active) ? active.dataset.key : undefined;
    fill(this.#box, ...sections);
    if (focused) {
      const again = [...this.#box.querySelectorAll('[data-key]')].find(
        (one) => one instanceof HTMLElement && one.dataset.key === focused,
      );
      if (again instanceof HTMLElement) again.focus();
    }
  }

  /** @param {State} state @param {string} field @param {FacetValue[]} values */
  #section(state, field, values) {
    const chosen = state.chosen[field] ?? [];
    const shown = field === 'folder' ? telling(values, chosen) : values;
    // A field with one value tells nothing apart.
    if (shown.length < (chosen.length || field === 'folder' ? 1 : 2)) return null;
    if (BY_VALUE.has(field)) shown.sort((a, b) => Number(b.value) - Number(a.value));
    const whole = this.#whole.has(field);
    const kept = shown.filter((one, index) => whole || index < AT_FIRST || chosen.includes(String(one.value)));
    const details = make(
      'details',
      { class: 'facet', open: !this.#folded.has(field) },
      make('summary', {}, titleOf(field)),
      make('ul', {}, ...kept.map((one) => this.#value(field, one, chosen))),
      shown.length > AT_FIRST &&
        make(
          'button',
          {
            type: 'button', class: 'text-button', dataset: { key: `${field}:all` },
            'aria-expanded': String(whole),
            onclick: () => {
              if (whole) this.#whole.delete(field);
              else this.#whole.add(field);
              this.#show(this.page.state, { ...this.#last, [field]: values });
            },
          },
          whole ? 'Fewer' : `All ${shown.length}`,
        ),
    );
    this.#last[field] = values;
    details.addEventListener('toggle', () => {
      if (details.open) this.#folded.delete(field);
      else this.#folded.add(field);
      localStorage.setItem('pixseek:folded', JSON.stringify([...this.#folded]));
    });
    return details;
  }

  /** @type {Facets} */
  #last = {};
  #most = 1;
  #root = '';

  /** @param {string} field @param {FacetValue} one @param {string[]} chosen */
  #value(field, one, chosen) {
    const value = String(one.value);
    const name = field === 'folder' ? value.slice(this.#root.length) || value : valueName(field, value);
    const button = make(
      'button',
      {
        type: 'button', class: 'facet-value', 'aria-pressed': String(chosen.includes(value)),
        title: value, dataset: { key: `${field}=${value}` },
        onclick: () => this.page.toggle(field, value),
      },
      make('span', { class: 'facet-name' }, name),
      make('span', { class: 'count' }, one.count.toLocaleString('en')),
    );
    button.style.setProperty('--share', `${Math.min(100, Math.max(2, (100 * one.count) / this.#most))}%`);
    return make('li', {}, button);
  }
}

/** What all of these folders begin with, whole names only. @param {string[]} folders */
function rootOf(folders) {
  const outer = folders.filter((one) => !folders.some((other) => one.startsWith(`${other}/`)));
  let root = outer.length === 1 ? `${outer[0]}/` : (outer[0] ?? '');
  while (root && !outer.every((one) => `${one}/`.startsWith(root))) {
    root = root.slice(0, root.lastIndexOf('/', root.length - 2) + 1);
  }
  return root;
}

/**
 * The folders that tell pictures apart: not those that all the pictures are in.
 * @param {FacetValue[]} folders
 * @param {string[]} chosen
 */
function telling(folders, chosen) {
  const most = Math.max(0, ...folders.map((one) => one.count));
  const paths = folders.map((one) => `${one.value}/`);
  return folders.filter((one, index) => {
    const path = paths[index] ?? '';
    const apart = paths.some((other) => !other.startsWith(path) && !path.startsWith(other));
    return chosen.includes(String(one.value)) || apart || one.count < most;
  });
}

/** The chips of what the search is narrowed to. @param {Page} page */
export function showChosen(page) {
  const { state } = page;
  /** @type {[string, string, () => void][]} */
  const chips = [];
  for (const [field, values] of Object.entries(state.chosen)) {
    for (const value of values) {
      chips.push([titleOf(field), valueName(field, value), () => page.toggle(field, value)]);
    }
  }
  if (state.months) chips.push(['When', monthsName(state.months), () => page.go({ months: '' })]);
  if (state.area) chips.push(['Where', 'part of the map', () => page.go({ area: '' })]);
  if (state.group) chips.push(['Group', groupName(state.group), () => page.go({ group: '' })]);
  if (state.where) chips.push(['Filter', state.where, () => page.go({ where: '' })]);
  fill(
    byId('chosen'),
    ...chips.map(([title, value, remove]) =>
      make(
        'li',
        { class: 'chip' },
        make('span', { class: 'chip-text' }, make('span', { class: 'chip-title' }, title), value),
        iconButton(icon('close', 14), `Remove ${title} ${value}`, remove),
      ),
    ),
    filterOf(state) && chips.length > 1
      ? make('li', {}, make('button', {
          type: 'button', class: 'text-button',
          onclick: () => page.go({ ...WIDE }),
        }, 'Clear all'))
      : null,
  );
  byId('chosen').hidden = !chips.length;
}
