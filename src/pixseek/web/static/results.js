// The hits of the search that the address names, asked for page by page.

import { Refused, search } from './api.js';
import { pause } from './dom.js';
import { parametersOf, searchKey } from './state.js';
import { uploaded } from './uploads.js';

/** @typedef {import('./api.js').Hit} Hit */
/** @typedef {import('./state.js').State} State */

/**
 * @typedef {object} Found
 * @property {string} key the search
 * @property {Hit[]} hits
 * @property {Set<string>} ids
 * @property {string | null} next where the next page begins; null at the end
 * @property {number | null} total pictures that pass the filter; null when it is not known
 * @property {number} took milliseconds in the server
 * @property {number} shown milliseconds from asking to having
 * @property {string} note
 */

const FIRST = 60;
const THEN = 240;
const REMEMBERED = 12;
/** Searches in a row for which a busy server is asked again. */
const PATIENCE = 4;

export class Results {
  /** @type {Found | null} */
  found = null;
  /** @type {Refused | null} */
  refused = null;
  loading = false;
  /** @type {Map<string, Found>} searches that the back button finds as they were left */
  #kept = new Map();
  #abort = new AbortController();
  #more = false;
  /** @type {((fresh: boolean) => void)[]} */
  #watchers = [];

  /** @param {(fresh: boolean) => void} watcher fresh: of another search than before */
  watch(watcher) {
    this.#watchers.push(watcher);
  }

  /** @param {boolean} fresh */
  #tell(fresh) {
    for (const watcher of this.#watchers) watcher(fresh);
  }

  /** What was found before may not be true any more. */
  forget() {
    this.#kept.clear();
  }

  /**
   * @param {State} state
   * @param {boolean} [back] a search left before is shown as it was
   */
  async look(state, back = false) {
    const key = searchKey(state);
    this.#abort.abort();
    this.#more = false;
    const known = back ? this.#kept.get(key) : undefined;
    if (known) {
      this.#show(known, null, true);
      return;
    }
    const abort = (this.#abort = new AbortController());
    this.loading = true;
    this.#tell(false);
    const asked = performance.now();
    performance.mark('pixseek:asked');
    try {
      const answer = await this.#page(state, null, abort.signal);
      const hits = answer.hits;
      this.#show({
        key, hits, ids: new Set(hits.map(hitKey)), next: answer.next, total: answer.total,
        took: answer.took_ms, shown: performance.now() - asked, note: answer.note ?? '',
      }, null, true);
    } catch (error) {
      if (abort.signal.aborted) return;
      this.#show(null, asRefused(error), true);
    }
  }

  /** @param {Found | null} found @param {Refused | null} refused @param {boolean} fresh */
  #show(found, refused, fresh) {
    this.loading = false;
    this.found = found;
    this.refused = refused;
    if (found) {
      this.#kept.delete(found.key);
      this.#kept.set(found.key, found);
      const oldest = this.#kept.keys().next().value;
      if (this.#kept.size > REMEMBERED && oldest !== undefined) this.#kept.delete(oldest);
    }
    this.#tell(fresh);
  }

  /** Asks for the next page, unless it is being asked for or there is none. @param {State} state */
  async more(state) {
    const found = this.found;
    if (!found?.next || this.#more || this.loading) return;
    this.#more = true;
    const { signal } = this.#abort;
    try {
      const answer = await this.#page(state, found.next, signal);
      if (signal.aborted) return;
      for (const hit of answer.hits) {
        const key = hitKey(hit);
        if (found.ids.has(key)) continue;
        found.ids.add(key);
        found.hits.push(hit);
      }
      found.next = answer.next;
      this.#tell(false);
    } catch {
      // What is there stays; scrolling on asks again.
    } finally {
      if (!signal.aborted) this.#more = false;
    }
  }

  /** @param {State} state @param {string | null} cursor @param {AbortSignal} signal */
  async #page(state, cursor, signal) {
    const parameters = parametersOf(state);
    parameters.push(['limit', String(cursor ? THEN : FIRST)]);
    if (cursor) parameters.push(['cursor', cursor]);
    const images = state.images.flatMap((key) => uploaded(key)?.blob ?? []);
    if (images.length < state.images.length) {
      throw new Refused(410, 'gone', 'The picture this search was made with is not kept. Drop it here again.');
    }
    for (let tries = 1; ; tries += 1) {
      try {
        return await search(parameters, images, signal);
      } catch (error) {
        const busy = error instanceof Refused && (error.status === 429 || error.status === 503);
        if (!busy || tries >= PATIENCE) throw error;
        await pause((error.again ?? 1) * 1000, signal);
      }
    }
  }
}

/** What tells two hits apart: a video may be found at several moments. @param {Hit} hit */
export const hitKey = (hit) => (hit.moment === null || hit.moment === undefined ? hit.id : `${hit.id}@${hit.moment}`);

/** @param {unknown} error */
function asRefused(error) {
  return error instanceof Refused ? error : new Refused(0, 'error', String(error));
}
