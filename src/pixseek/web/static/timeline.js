// How many pictures each month has, as bars; one of them, or a run of them, can be chosen.

import { timeline } from './api.js';
import { byId, counted, fill, make } from './dom.js';
import { parametersOf } from './state.js';
import { monthName, monthsName } from './wording.js';

/** @typedef {import('./api.js').Month} Month */
/** @typedef {import('./state.js').Page} Page */
/** @typedef {import('./state.js').State} State */

/** Months; of a longer time, months without pictures are left out. */
const LONGEST = 480;

export class Timeline {
  #box = byId('timeline');
  #label = byId('timeline-label');
  /** @type {Month[]} */
  #months = [];
  /** @type {HTMLElement[]} */
  #bars = [];
  #from = -1;
  #abort = new AbortController();

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.#box.addEventListener('pointerdown', (event) => this.#down(event));
    this.#box.addEventListener('pointermove', (event) => this.#move(event));
    this.#box.addEventListener('pointerup', (event) => this.#up(event));
    this.#box.addEventListener('pointerleave', () => this.#say(-1));
    this.#box.addEventListener('keydown', (event) => this.#key(event));
  }

  /** @param {State} state */
  async look(state) {
    this.#abort.abort();
    const { signal } = (this.#abort = new AbortController());
    try {
      const months = await timeline(parametersOf(state, 'months'), signal);
      if (!signal.aborted) this.#show(state, filled(months));
    } catch {
      // The bars stay as they were.
    }
  }

  /** @param {State} state @param {Month[]} months */
  #show(state, months) {
    this.#months = months;
    byId('times').hidden = months.length < 2;
    const most = Math.max(1, ...months.map((one) => one.count));
    const [from = '', to = ''] = state.months.split('..');
    const focused = this.#bars.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    this.#bars = months.map((one, index) => {
      const inside = Boolean(from) && one.month >= from && one.month <= to;
      const bar = make('button', {
        type: 'button', class: 'month', tabindex: index === months.length - 1 ? '0' : '-1',
        'aria-pressed': String(inside),
        'aria-label': `${monthName(one.month)}: ${counted(one.count, 'picture')}`,
      });
      // A month with one picture can still be seen.
      bar.style.setProperty('--part', `${one.count ? Math.max(6, 100 * Math.sqrt(one.count / most)) : 0}%`);
      if (one.month.endsWith('-01')) bar.dataset.year = one.month.slice(0, 4);
      return bar;
    });
    thinned(this.#bars, this.#box.clientWidth);
    fill(this.#box, ...this.#bars);
    this.#box.classList.toggle('has-choice', Boolean(from));
    this.#bars[focused]?.focus();
    this.#say(-1);
  }

  /** @param {Event} event */
  #indexOf(event) {
    const { clientX } = /** @type {PointerEvent} */ (event);
    const { left, width } = this.#box.getBoundingClientRect();
    const index = Math.floor(((clientX - left) / width) * this.#months.length);
    return Math.max(0, Math.min(this.#months.length - 1, index));
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (event.button) return;
    this.#from = this.#indexOf(event);
    this.#box.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const at = this.#indexOf(event);
    this.#say(at);
    if (this.#from < 0) return;
    const [low, high] = [Math.min(this.#from, at), Math.max(this.#from, at)];
    this.#bars.forEach((bar, index) => bar.setAttribute('aria-pressed', String(index >= low && index <= high)));
    this.#box.classList.add('has-choice');
  }

  /** @param {PointerEvent} event */
  #up(event) {
    if (this.#from < 0) return;
    const at = this.#indexOf(event);
    this.#choose(Math.min(this.#from, at), Math.max(this.#from, at));
    this.#from = -1;
  }

  /** @param {number} low @param {number} high */
  #choose(low, high) {
    const months = `${this.#months[low]?.month}..${this.#months[high]?.month}`;
    this.page.go({ months: months === this.page.state.months ? '' : months, open: '' });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const at = this.#bars.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    if (at < 0) return;
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      this.#choose(at, at);
    }
    const way = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: 12, ArrowDown: -12 }[event.key];
    if (!way) return;
    event.preventDefault();
    const next = this.#bars[Math.max(0, Math.min(this.#bars.length - 1, at + way))];
    this.#bars[at]?.setAttribute('tabindex', '-1');
    next?.setAttribute('tabindex', '0');
    next?.focus();
    this.#say(this.#bars.indexOf(/** @type {HTMLElement} */ (next)));
  }

  /** @param {number} index -1: what is chosen, or all */
  #say(index) {
    const month = this.#months[index];
    const first = this.#months[0]?.month ?? '';
    const last = this.#months.at(-1)?.month ?? '';
    const { months } = this.page.state;
    this.#label.textContent = month
      ? `${monthName(month.month)} · ${counted(month.count, 'picture')}`
      : monthsName(months || `${first}..${last}`);
  }
}

/** With the months that have no picture, so that the bars are a scale. @param {Month[]} months */
function filled(months) {
  const first = months[0];
  const last = months.at(-1);
  if (!first || !last) return [];
  const number = (/** @type {string} */ month) => Number(month.slice(0, 4)) * 12 + Number(month.slice(5)) - 1;
  const [from, to] = [number(first.month), number(last.month)];
  if (to - from > LONGEST) return months;
  const counts = new Map(months.map((one) => [one.month, one.count]));
  return Array.from({ length: to - from + 1 }, (_, index) => {
    const at = from + index;
    const month = `${String(Math.floor(at / 12)).padStart(4, '0')}-${String((at % 12) + 1).padStart(2, '0')}`;
    return { month, count: counts.get(month) ?? 0 };
  });
}

/** Leaves out years that have no room for their number. @param {HTMLElement[]} bars @param {number} width */
function thinned(bars, width) {
  let free = 0;
  bars.forEach((bar, index) => {
    if (!bar.dataset.year) return;
    const left = (index / bars.length) * width;
    if (left < free || left > width - 30) delete bar.dataset.year;
    else free = left + 40;
  });
}
