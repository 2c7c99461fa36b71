// The library behind the page: what it holds, what could not be read, how indexing goes, and
// whether the server is there at all.

import { Refused, jobEvents, jobs, startIndexing, status } from './api.js';
import { announce, byId, counted, fill, make } from './dom.js';
import { icon } from './icons.js';
import { sizeOf } from './wording.js';

/** @typedef {import('./api.js').Status} Status */
/** @typedef {import('./api.js').Job} Job */

const EVERY = 10_000;
const EVERY_WHEN_LOST = 1500;
const EVERY_WHEN_WRITING = 2500;
const SETTLED = 3000;

export class Library {
  /** @type {Status | null} */
  now = null;
  lost = false;
  #timer = 0;
  #generation = '';
  /** @type {EventSource | null} */
  #events = null;
  /** @type {Job | null} */
  #job = null;
  #dialog = /** @type {HTMLDialogElement} */ (byId('library'));

  /**
   * @param {object} told
   * @param {(now: Status) => void} told.known
   * @param {() => void} told.changed there are other pictures than before
   * @param {() => void} told.back the server answers again
   */
  constructor(told) {
    this.told = told;
    byId('library-open').addEventListener('click', () => {
      this.#show();
      this.#dialog.showModal();
      void this.look();
    });
    byId('library-close').addEventListener('click', () => this.#dialog.close());
    this.#dialog.addEventListener('click', (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) void this.look();
    });
  }

  /** Asks how things are, and again later. */
  async look() {
    clearTimeout(this.#timer);
    try {
      const now = await status();
      const generation = `${now.items} ${now.files} ${now.model.name}`;
      const changed = this.#generation && this.#generation !== generation;
      this.#generation = generation;
      this.now = now;
      if (this.lost) {
        this.lost = false;
        this.told.back();
      }
      this.told.known(now);
      if (changed) this.told.changed();
      if (now.writer && now.writable && !this.#events) void this.#follow();
    } catch (error) {
      if (error instanceof Refused && error.status === 0) this.lose();
    }
    this.#show();
    const writing = this.now?.writer || this.#job;
    const wait = this.lost ? EVERY_WHEN_LOST : writing ? EVERY_WHEN_WRITING : EVERY;
    this.#timer = window.setTimeout(() => {
      if (!document.hidden) void this.look();
    }, wait);
  }

  /** The server did not answer. */
  lose() {
    if (this.lost) return;
    this.lost = true;
    this.#show();
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.look(), EVERY_WHEN_LOST);
  }

  /** Follows a run that was started elsewhere in this server. */
  async #follow() {
    const latest = (await jobs().catch(() => null))?.jobs[0];
    if (latest && (latest.state === 'running' || latest.state === 'waiting')) this.#listen(latest);
  }

  async #index() {
    try {
      this.#listen(await startIndexing());
    } catch (error) {
      announce(error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {Job} job */
  #listen(job) {
    this.#events?.close();
    this.#job = job;
    this.#show();
    const events = (this.#events = jobEvents(job.id));
    /** @param {MessageEvent<string>} event */
    const told = (event) => {
      this.#job = JSON.parse(event.data);
      this.#show();
    };
    const over = () => {
      events.close();
      this.#events = null;
      this.#job = null;
      void this.look();
      // The server may still say what it said a moment ago.
      setTimeout(() => void this.look(), SETTLED);
    };
    events.addEventListener('progress', told);
    events.addEventListener('done', (event) => {
      told(event);
      const done = this.#job;
      announce(done?.error ?? summary(done?.report ?? {}));
      over();
    });
    events.addEventListener('error', () => {
      // The browser asks again by itself, unless the server knows no such run any more.
      if (events.readyState === EventSource.CLOSED) over();
    });
  }

  #show() {
    const { now } = this;
    const button = byId('library-open');
    const job = this.#job;
    const writing = Boolean(job ?? now?.writer);
    button.dataset.state = this.lost ? 'lost' : writing ? 'writing' : 'well';
    const text = this.lost ? 'No answer' : job?.total ? `${Math.floor((100 * job.done) / job.total)} %` : now ? now.items.toLocaleString('en') : '…';
    byId('library-count').textContent = text;
    const label = this.lost ? 'The server does not answer' : writing ? 'Library, being indexed' : `Library, ${counted(now?.items ?? 0, 'picture')}`;
    button.setAttribute('aria-label', `${label}: ${text}`);
    button.title = label;
    byId('lost').hidden = !this.lost;
    if (now) fill(byId('library-body'), ...this.#sections(now));
  }

  /** @param {Status} now */
  #sections(now) {
    const job = this.#job;
    const { skipped } = now;
    return [
      make('p', { class: 'figures' },
        figure(now.items, 'pictures'), figure(now.files, 'files'), figure(now.skipped_total, 'skipped'),
      ),
      job ? progress(job) : now.writer ? make('p', { class: 'note' }, `Being written by ${now.writer}. Searches go on.`) : null,
      now.writable && !job && make('p', {}, make('button', { type: 'button', class: 'button primary', onclick: () => void this.#index() }, icon('refresh', 16), 'Bring in step now')),
      make('h3', {}, 'Model'),
      make('p', {}, make('b', {}, now.model.name), now.model.languages ? ` · ${now.model.languages}` : '', now.model.ready ? '' : ' · still loading'),
      now.model.summary && make('p', { class: 'quiet' }, now.model.summary),
      make('p', { class: 'quiet' }, limits(now)),
      make('h3', {}, 'Folders'),
      make('ul', { class: 'folders' },
        ...now.folders.map((folder) =>
          make('li', { class: folder.present ? '' : 'missing' },
            make('span', { class: 'breaks' }, folder.path),
            make('span', { class: 'count' }, folder.present ? counted(folder.files, 'file') : 'not there now; its pictures are kept'),
          ),
        ),
      ),
      skipped.length ? make('h3', {}, `Skipped: ${counted(now.skipped_total, 'file')}`) : null,
      skipped.length ? make('div', { class: 'skipped', tabindex: '0', role: 'region', 'aria-label': 'Skipped files' },
        make('table', {},
          make('thead', {}, make('tr', {}, make('th', { scope: 'col' }, 'File'), make('th', { scope: 'col' }, 'Why'))),
          make('tbody', {}, ...skipped.slice(0, 200).map((one) =>
            make('tr', {}, make('td', { class: 'breaks' }, one.path), make('td', {}, one.reason)))),
        ),
      ) : null,
      make('h3', {}, 'Here'),
      make('p', { class: 'quiet breaks' }, `${now.library} · ${sizeOf(now.size_bytes)} · pixseek ${now.version}`),
      make('p', { class: 'quiet' }, 'Everything is answered by this server. The page asks no other.'),
      keys(),
    ];
  }
}

/** @param {number} count @param {string} what */
function figure(count, what) {
  return make('span', {}, make('b', {}, count.toLocaleString('en')), ` ${what}`);
}

/** @param {Job} job */
function progress(job) {
  const text = job.waiting_for
    ? `Waiting for ${job.waiting_for}.`
    : job.total
      ? `${job.done.toLocaleString('en')} of ${counted(job.total, 'file')}, ${job.skipped.toLocaleString('en')} skipped`
      : 'Looking for what changed …';
  return make('div', { class: 'progress' },
    make('progress', { max: job.total || 1, value: job.total ? job.done : 0, 'aria-label': 'Indexing' }),
    make('p', { class: 'quiet' }, text),
  );
}

/** @param {Status} now */
function limits(now) {
  const small = now.model.name === 'pocket' || now.model.name === 'palette';
  return small
    ? 'It is small: it knows everyday scenes and things, and does not read, count, or know names. A larger model finds more (pixseek models). Scores order the hits of one search; they do not say how sure a hit is.'
    : 'It does not count, and may not know names of people and places. Scores order the hits of one search; they do not say how sure a hit is.';
}

/** @param {Record<string, number>} report */
function summary(report) {
  const said = ['added', 'changed', 'moved', 'removed', 'skipped'].filter((name) => report[name]);
  return said.length ? said.map((name) => `${report[name]} ${name}`).join(', ') : 'Nothing had changed';
}

function keys() {
  /** @type {[string, string][]} */
  const all = [
    ['/', 'search'], ['← ↑ → ↓', 'go through the pictures'], ['Enter', 'open'], ['x', 'select; with Shift, all up to it'],
    ['m', 'more like this'], ['l', 'less like this (open picture)'], ['+ − 0', 'zoom'], ['i', 'what is known of it'], ['d', 'download'],
    ['Ctrl+Enter', 'keep the words as a chip; with Shift, push away'], ['Esc', 'close, or select none'],
  ];
  return make('details', { class: 'keys' }, make('summary', {}, 'Keyboard'),
    make('dl', {}, ...all.flatMap(([key, what]) => [make('dt', {}, make('kbd', {}, key)), make('dd', {}, what)])));
}
