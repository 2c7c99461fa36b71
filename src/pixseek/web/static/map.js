// Where the pictures found were taken, on a plain drawing of the world that comes with the page.

import { spots } from './api.js';
import { byId, counted, draw } from './dom.js';
import { corners, parametersOf } from './state.js';
import { LAND } from './world.js';

/** @typedef {import('./api.js').Spot} Spot */
/** @typedef {import('./state.js').Page} Page */
/** @typedef {import('./state.js').State} State */
/** @typedef {{x: number, y: number, width: number, height: number}} View in half degrees, from the north west */

const WORLD = { x: 0, y: 8, width: 720, height: 300 };
const SHAPE = WORLD.width / WORLD.height;
/** Degrees that the map is wide at least. */
const NEAREST = 0.2;

export class WorldMap {
  #box = byId('map');
  #svg = draw('svg', { role: 'group', 'aria-label': 'Map of the pictures', preserveAspectRatio: 'xMidYMid slice' });
  #marks = draw('g', { class: 'spots' });
  #lines = draw('path', { class: 'graticule' });
  #frame = draw('rect', { class: 'frame', width: 0, height: 0 });
  /** @type {View} */
  #view = WORLD;
  /** @type {Spot[]} */
  #spots = [];
  /** @type {{x: number, y: number} | null} */
  #from = null;
  #abort = new AbortController();

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.#svg.append(draw('path', { d: LAND, class: 'land' }), this.#lines, this.#marks, this.#frame);
    this.#box.append(this.#svg);
    this.#svg.addEventListener('pointerdown', (event) => this.#down(event));
    this.#svg.addEventListener('pointermove', (event) => this.#move(event));
    this.#svg.addEventListener('pointerup', (event) => this.#up(event));
    this.#svg.addEventListener('keydown', (event) => this.#key(event));
    byId('map-out').addEventListener('click', () => page.go({ area: '', open: '' }));
  }

  /** @param {State} state */
  async look(state) {
    this.#abort.abort();
    const { signal } = (this.#abort = new AbortController());
    const area = corners(state.area);
    const view = area ? viewOf(/** @type {[number, number, number, number]} */ (area), 0.15) : null;
    try {
      const grid = Math.min(4, Math.max(0.0005, (view ?? WORLD).width / 2 / 90));
      const found = await spots(parametersOf(state, 'area'), grid, signal);
      if (signal.aborted) return;
      this.#spots = found;
      this.#view = view ?? around(found);
      this.#show(state);
    } catch {
      // The map stays as it was.
    }
  }

  /** @param {State} state */
  #show(state) {
    byId('places').hidden = !this.#spots.length;
    byId('map-out').hidden = !state.area;
    const { x, y, width, height } = this.#view;
    this.#svg.setAttribute('viewBox', `${x} ${y} ${width} ${height}`);
    this.#lines.setAttribute('d', graticule(this.#view));
    const unit = width / Math.max(1, this.#box.clientWidth || 260);
    const most = Math.max(1, ...this.#spots.map((spot) => spot.count));
    const marks = this.#spots
      .filter((spot) => inside(this.#view, spot))
      .map((spot, index) => {
        const name = `${counted(spot.count, 'picture')} near ${spot.latitude.toFixed(1)}, ${spot.longitude.toFixed(1)}`;
        const mark = draw('circle', {
          cx: 2 * (spot.longitude + 180), cy: 2 * (90 - spot.latitude),
          r: unit * (2.2 + 5 * Math.sqrt(spot.count / most)),
          role: 'button', tabindex: index ? -1 : 0, 'aria-label': name, 'data-id': spot.id,
        });
        mark.append(draw('title', {}));
        /** @type {Element} */ (mark.firstElementChild).textContent = name;
        return mark;
      });
    // The fullest spots come first and lie below the others.
    this.#marks.replaceChildren(...marks);
    const area = corners(state.area);
    const box = area ? viewOf(/** @type {[number, number, number, number]} */ (area), 0, false) : null;
    this.#outline(box);
  }

  /** @param {View | null} box */
  #outline(box) {
    for (const name of /** @type {const} */ (['x', 'y', 'width', 'height'])) {
      this.#frame.setAttribute(name, String(box?.[name] ?? 0));
    }
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const at = new DOMPoint(event.clientX, event.clientY);
    const matrix = /** @type {SVGSVGElement} */ (this.#svg).getScreenCTM();
    return matrix ? at.matrixTransform(matrix.inverse()) : at;
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (event.button) return;
    event.preventDefault();
    this.#from = this.#point(event);
    this.#svg.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (this.#from) this.#outline(between(this.#from, this.#point(event)));
  }

  /** @param {PointerEvent} event */
  #up(event) {
    if (!this.#from) return;
    const box = between(this.#from, this.#point(event));
    this.#from = null;
    const dragged = box.width > this.#view.width / 40 && box.height > this.#view.height / 40;
    if (dragged) this.#choose(box);
    else {
      // A click means what is around it.
      const width = Math.max(this.#view.width / 5, 2 * NEAREST);
      const height = width / SHAPE;
      this.#choose({ x: box.x - width / 2, y: box.y - height / 2, width, height });
    }
  }

  /** @param {View} box */
  #choose({ x, y, width, height }) {
    const found = [90 - (y + height) / 2, x / 2 - 180, 90 - y / 2, (x + width) / 2 - 180];
    const [south = 0, west = 0, north = 0, east = 0] = found;
    const held = [Math.max(-90, south), Math.max(-180, west), Math.min(90, north), Math.min(180, east)];
    this.page.go({ area: held.map((degrees) => degrees.toFixed(4)).join(','), open: '' });
  }

  /** @param {Event} given */
  #key(given) {
    const event = /** @type {KeyboardEvent} */ (given);
    const marks = [...this.#marks.children];
    const at = marks.indexOf(/** @type {Element} */ (document.activeElement));
    const mark = marks[at];
    if (!mark) return;
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      const width = Math.max(this.#view.width / 5, 2 * NEAREST);
      const height = width / SHAPE;
      const [x, y] = [Number(mark.getAttribute('cx')), Number(mark.getAttribute('cy'))];
      this.#choose({ x: x - width / 2, y: y - height / 2, width, height });
    }
    const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const next = way && /** @type {SVGElement | undefined} */ (marks[at + way]);
    if (!next) return;
    event.preventDefault();
    mark.setAttribute('tabindex', '-1');
    next.setAttribute('tabindex', '0');
    next.focus();
  }
}

/**
 * @param {[number, number, number, number]} area south, west, north, east
 * @param {number} margin as a share
 * @param {boolean} [shaped] as wide for its height as the map is
 * @returns {View}
 */
function viewOf([south, west, north, east], margin, shaped = true) {
  const box = { x: 2 * (west + 180), y: 2 * (90 - north), width: 2 * (east - west), height: 2 * (north - south) };
  if (!shaped) return box;
  const width = Math.max(box.width, box.height * SHAPE, NEAREST * 2) * (1 + 2 * margin);
  if (width >= WORLD.width) return WORLD;
  const height = width / SHAPE;
  return { x: box.x + (box.width - width) / 2, y: box.y + (box.height - height) / 2, width, height };
}

/** A view with all spots in it, not nearer than makes the land known. @param {Spot[]} found @returns {View} */
function around(found) {
  if (!found.length) return WORLD;
  const north = found.map((spot) => spot.latitude);
  const east = found.map((spot) => spot.longitude);
  const [low, high] = [Math.min(...north), Math.max(...north)];
  const [left, right] = [Math.min(...east), Math.max(...east)];
  const grown = Math.max(0, (40 - (right - left)) / 2);
  return viewOf([low - 4, left - grown, high + 4, right + grown], 0.08);
}

/** @param {View} view @param {Spot} spot */
function inside(view, spot) {
  const [x, y] = [2 * (spot.longitude + 180), 2 * (90 - spot.latitude)];
  return x >= view.x && x <= view.x + view.width && y >= view.y && y <= view.y + view.height;
}

/** @param {{x: number, y: number}} a @param {{x: number, y: number}} b @returns {View} */
function between(a, b) {
  return { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y) };
}

/** Lines of latitude and longitude: a scale where the outline is too coarse to be one. @param {View} view */
function graticule(view) {
  const step = [60, 20, 10, 4, 2, 1, 0.4, 0.2, 0.1, 0.04].find((one) => view.width / one >= 4) ?? 0.04;
  let path = '';
  for (let x = Math.ceil(view.x / step) * step; x <= view.x + view.width; x += step) {
    path += `M${x.toFixed(2)} ${view.y}V${view.y + view.height}`;
  }
  for (let y = Math.ceil(view.y / step) * step; y <= view.y + view.height; y += step) {
    path += `M${view.x} ${y.toFixed(2)}H${view.x + view.width}`;
  }
  return path;
}
