// Pictures that were picked out: copied as paths, searched by, or saved as a list. The list is
// made here; the server is not asked.

import { byId, copy, counted, download } from './dom.js';
import { hitKey } from './results.js';
import { clock } from './wording.js';

/** @typedef {import('./api.js').Hit} Hit */
/** @typedef {import('./grid.js').Grid} Grid */
/** @typedef {import('./state.js').Page} Page */

const COLUMNS = /** @type {const} */ (['path', 'name', 'score', 'match', 'taken', 'width', 'height', 'camera_model', 'latitude', 'longitude', 'caption', 'moment', 'id']);
/** Pictures that a search may be made by. */
const MOST_LIKE = 20;

export class Selection {
  /** @type {Map<string, Hit>} in the order they were picked */
  #chosen = new Map();
  #last = 0;
  #bar = byId('picks');

  /** @param {Grid} grid @param {Page} page */
  constructor(grid, page) {
    this.grid = grid;
    byId('picks-json').addEventListener('click', () => download(asJson(this.hits), 'pixseek.json', 'application/json'));
    byId('picks-csv').addEventListener('click', () => download(csv(COLUMNS, records(this.hits)), 'pixseek.csv', 'text/csv'));
    byId('picks-paths').addEventListener('click', () =>
      void copy(this.hits.map((hit) => hit.path).join('\n'), this.#chosen.size === 1 ? 'Path' : 'Paths'),
    );
    byId('picks-like').addEventListener('click', () => {
      const ids = [...new Set(this.hits.map((hit) => hit.id))].slice(0, MOST_LIKE);
      this.clear();
      page.moreLike(ids);
    });
    byId('picks-none').addEventListener('click', () => this.clear());
  }

  get hits() {
    return [...this.#chosen.values()];
  }

  get size() {
    return this.#chosen.size;
  }

  /** @param {number} index @param {boolean} through all from the last one picked to this */
  choose(index, through) {
    const { hits } = this.grid;
    const hit = hits[index];
    if (!hit) return;
    if (through && this.#chosen.size) {
      const [low, high] = [Math.min(this.#last, index), Math.max(this.#last, index)];
      for (const one of hits.slice(low, high + 1)) this.#chosen.set(hitKey(one), one);
    } else if (!this.#chosen.delete(hitKey(hit))) this.#chosen.set(hitKey(hit), hit);
    this.#last = index;
    this.#show();
  }

  /** All hits that have been fetched. */
  all() {
    for (const hit of this.grid.hits) this.#chosen.set(hitKey(hit), hit);
    this.#show();
  }

  clear() {
    this.#chosen.clear();
    this.#show();
  }

  #show() {
    this.#bar.hidden = !this.#chosen.size;
    byId('picks-count').textContent = `${counted(this.#chosen.size, 'picture')} selected`;
    this.grid.mark(new Set(this.#chosen.keys()));
  }
}

/** @param {Hit[]} hits */
function records(hits) {
  return hits.map((hit) => {
    const taken = typeof hit.taken === 'number' ? new Date(hit.taken * 1000).toISOString().slice(0, 19) : null;
    /** @type {Record<string, string | number | null>} */
    const record = {};
    for (const name of COLUMNS) record[name] = (name === 'taken' ? taken : hit[name]) ?? null;
    if (typeof hit.moment === 'number') record.moment = clock(hit.moment);
    return record;
  });
}

/** @param {Hit[]} hits */
export const asJson = (hits) => `${JSON.stringify(records(hits), null, 2)}\n`;

/**
 * As RFC 4180 has it. A text that a spreadsheet would run as a formula gets a quote before it.
 * @param {readonly string[]} columns
 * @param {Record<string, string | number | null>[]} rows
 */
export function csv(columns, rows) {
  const cell = (/** @type {string | number | null | undefined} */ value) => {
    const text = value === null || value === undefined ? '' : String(value);
    const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const lines = rows.map((row) => columns.map((name) => cell(row[name])).join(','));
  return `${[columns.join(','), ...lines].join('\r\n')}\r\n`;
}
