// One picture, large: PhotoSwipe shows and moves it, what is known of it stands beside.

import { originalOf, thumbnailOf } from './api.js';
import { announce, byId, fill, make } from './dom.js';
import { icon } from './icons.js';
import { showItem } from './about.js';
import { clock, hitName } from './wording.js';

/** @typedef {import('./api.js').Hit} Hit */
/** @typedef {import('./state.js').Page} Page */
/** @typedef {import('./grid.js').Grid} Grid */

/** Pixels that the panel takes, as viewer.css has it. */
const PANEL = 340;
const NARROW = 760;
/** Of the height, that the panel takes where the window is narrow. */
const SHEET = 0.5;
const SHOWN_BY_BROWSERS = /\.(jpe?g|jfif|png|apng|webp|gif|avif|bmp|ico)$/i;

export class Viewer {
  /** @type {any} the open PhotoSwipe */
  #open = null;
  /** @type {Hit[]} */
  #hits = [];
  #info = localStorage.getItem('pixseek:info') === 'yes' || (!localStorage.getItem('pixseek:info') && innerWidth > NARROW);
  #leaving = false;
  /** @type {HTMLElement | null} */
  #panel = null;
  #abort = new AbortController();

  /**
   * @param {Page} page
   * @param {Grid} grid
   * @param {() => void} more asks for more hits
   */
  constructor(page, grid, more) {
    this.page = page;
    this.grid = grid;
    this.more = more;
    addEventListener('keydown', (event) => this.#key(event), true);
  }

  get isOpen() {
    return this.#open !== null;
  }

  /** Another search was made, or more of it has come. @param {Hit[]} hits */
  know(hits) {
    this.#hits = hits;
  }

  /** Opens, moves to or closes what the address names. @param {string} id @param {Hit[]} hits */
  async show(id, hits) {
    if (!id) {
      this.#leave();
      return;
    }
    if (this.#open) {
      if (this.#now()?.id === id) return;
      const index = this.#hits.findIndex((hit) => hit.id === id);
      if (index >= 0) this.#open.goTo(index);
      return;
    }
    let index = hits.findIndex((hit) => hit.id === id);
    this.#hits = hits;
    if (index < 0) {
      // A shared address: the picture may be far down, or in no hit at all.
      const alone = await showItem.hit(id);
      if (!alone) {
        announce('That picture is not in this library');
        this.page.go({ open: '' }, 'replace');
        return;
      }
      this.#hits = [alone];
      index = 0;
    }
    await this.#start(index, id);
  }

  /** @returns {Hit | undefined} */
  #now() {
    return this.#hits[this.#open?.currIndex ?? -1];
  }

  /** @param {number} index @param {string} id */
  async #start(index, id) {
    const { default: PhotoSwipe } = await import('./vendor/photoswipe.esm.min.js');
    if (this.#open || this.page.state.open !== id) return;
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const shown = new PhotoSwipe({
      index, dataSource: [], loop: false, bgOpacity: 1, wheelToZoom: true, preload: [1, 2],
      showHideAnimationType: calm ? 'none' : 'zoom', showAnimationDuration: 180, hideAnimationDuration: 160,
      maxZoomLevel: 6, secondaryZoomLevel: 1, arrowPrevTitle: 'Previous', arrowNextTitle: 'Next',
      closeTitle: 'Close', zoomTitle: 'Zoom', closeSVG: icon('close', 22).outerHTML, zoomSVG: icon('zoom', 22).outerHTML,
      arrowPrevSVG: icon('left', 30).outerHTML, arrowNextSVG: icon('right', 30).outerHTML, indexIndicatorSep: ' of ',
      mainClass: 'viewer', returnFocus: false,
      bgClickAction: 'close', tapAction: 'toggle-controls', errorMsg: 'This picture cannot be shown.',
      paddingFn: (/** @type {{x: number, y: number}} */ size) => {
        if (size.x <= NARROW) return { top: 52, bottom: this.#info ? size.y * SHEET : 0, left: 0, right: 0 };
        return { top: 52, bottom: 12, left: 12, right: this.#info ? PANEL + 12 : 12 };
      },
    });
    this.#open = shown;
    this.#fill(shown);
    this.#controls(shown);
    this.#events(shown);
    shown.init();
    shown.element?.setAttribute('aria-label', 'Picture');
    shown.element?.setAttribute('aria-modal', 'true');
    byId('page').inert = true;
    byId('bar').inert = true;
  }

  /** @param {any} shown */
  #fill(shown) {
    shown.addFilter('numItems', () => this.#hits.length);
    shown.addFilter('itemData', (/** @type {any} */ _, /** @type {number} */ index) => this.#slide(index));
    shown.addFilter('thumbEl', (/** @type {any} */ _, /** @type {any} */ __, /** @type {number} */ index) =>
      this.grid.elementOf(index)?.querySelector('img'),
    );
    shown.on('contentLoad', (/** @type {any} */ event) => {
      const { content } = event;
      if (content.data.type !== 'film') return;
      event.preventDefault();
      content.element = film(content.data.hit);
      content.onLoaded();
    });
    shown.on('contentActivate', (/** @type {any} */ { content }) => play(content.element, true));
    shown.on('contentDeactivate', (/** @type {any} */ { content }) => play(content.element, false));
  }

  /** @param {number} index */
  #slide(index) {
    const hit = this.#hits[index];
    if (!hit) return {};
    if (hit.media === 'video') return { type: 'film', hit };
    const [width, height] = [hit.width || 1280, hit.height || 960];
    const large = thumbnailOf(hit.id, 1280);
    if (hit.media === 'animation' && SHOWN_BY_BROWSERS.test(hit.name)) {
      return { src: originalOf(hit.id), msrc: thumbnailOf(hit.id), width, height, alt: hitName(hit) };
    }
    const scale = Math.min(1, 1280 / Math.max(width, height));
    const original = SHOWN_BY_BROWSERS.test(hit.name) && !hit.page ? `, ${originalOf(hit.id)} ${width}w` : '';
    return {
      src: large, msrc: thumbnailOf(hit.id), width, height, alt: hitName(hit), thumbCropped: true,
      // The whole file is only fetched when it is zoomed into, or the screen is that large.
      srcset: scale < 1 ? `${large} ${Math.round(width * scale)}w${original}` : undefined,
    };
  }

  /** @param {any} shown */
  #controls(shown) {
    /** @type {[string, string, string, number, () => void][]} */
    const buttons = [
      ['more', 'like', 'More like this', 11, () => this.#search((id) => this.page.moreLike([id]))],
      ['less', 'unlike', 'Less like this', 12, () => this.#search((id) => this.page.lessLike(id))],
      ['save', 'download', 'Download', 13, () => this.#download()],
      ['info', 'info', 'What is known of it', 14, () => this.#toggle()],
    ];
    shown.on('uiRegister', () => {
      for (const [name, symbol, title, order, onClick] of buttons) {
        shown.ui.registerElement({
          name, order, isButton: true, title, ariaLabel: title, html: '', onClick,
          onInit: (/** @type {HTMLElement} */ element) => {
            element.append(icon(symbol, 22));
            if (name === 'info') element.setAttribute('aria-pressed', String(this.#info));
          },
        });
      }
      shown.ui.registerElement({
        name: 'panel', order: 20, appendTo: 'root', isButton: false, tagName: 'aside', html: '',
        onInit: (/** @type {HTMLElement} */ element) => {
          this.#panel = element;
          element.hidden = !this.#info;
          element.setAttribute('aria-label', 'What is known of the picture');
          element.setAttribute('tabindex', '0');
          for (const kind of ['pointerdown', 'touchstart', 'click', 'wheel']) {
            element.addEventListener(kind, (event) => event.stopPropagation(), { passive: true });
          }
        },
      });
    });
  }

  /** @param {any} shown */
  #events(shown) {
    shown.on('change', () => {
      const hit = this.#now();
      if (!hit) return;
      this.page.go({ open: hit.id }, this.page.state.open ? 'replace' : 'push');
      this.#about(hit);
      if (shown.currIndex > this.#hits.length - 20) this.more();
    });
    shown.on('close', () => {
      if (this.#leaving || !this.page.state.open) return;
      // The grid is one step back when the viewer was opened from it.
      if (history.state?.viewer) history.back();
      else this.page.go({ open: '' }, 'replace');
    });
    shown.on('destroy', () => {
      const index = shown.currIndex;
      this.#open = null;
      this.#panel = null;
      this.#leaving = false;
      byId('page').inert = false;
      byId('bar').inert = false;
      if (this.#hits === this.grid.hits) this.grid.reveal(index);
    });
  }

  #leave() {
    if (!this.#open) return;
    this.#leaving = true;
    this.#whenOpen((shown) => shown.close());
  }

  /** At once, or when the opening is over: until then PhotoSwipe takes nothing. @param {(shown: any) => void} act */
  #whenOpen(act) {
    const shown = this.#open;
    if (shown?.opener.isOpen) act(shown);
    else shown?.on('openingAnimationEnd', () => act(shown));
  }

  /** @param {(id: string) => void} act */
  #search(act) {
    const hit = this.#now();
    if (!hit) return;
    this.#leaving = true;
    this.#open.options.showHideAnimationType = 'none';
    act(hit.id);
    this.#leave();
  }

  #download() {
    const hit = this.#now();
    if (hit) location.assign(`${originalOf(hit.id)}?download=true`);
  }

  #toggle() {
    this.#info = !this.#info;
    localStorage.setItem('pixseek:info', this.#info ? 'yes' : 'no');
    if (this.#panel) this.#panel.hidden = !this.#info;
    this.#open?.element.querySelector('.pswp__button--info')?.setAttribute('aria-pressed', String(this.#info));
    this.#open?.updateSize(true);
    const hit = this.#now();
    if (hit) this.#about(hit);
  }

  /** @param {Hit} hit */
  #about(hit) {
    this.#abort.abort();
    this.#abort = new AbortController();
    if (this.#panel && this.#info) void showItem(this.#panel, hit, this.page, this.#abort.signal);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const shown = this.#open;
    if (!shown || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof HTMLVideoElement) return;
    const zoom = (/** @type {number} */ factor) => {
      const slide = shown.currSlide;
      const most = slide.zoomLevels.max;
      const level = Math.min(most, Math.max(slide.zoomLevels.initial, slide.currZoomLevel * factor));
      shown.zoomTo(level, { x: shown.viewportSize.x / 2, y: shown.viewportSize.y / 2 }, 160);
    };
    /** @type {Record<string, () => void>} */
    const keys = {
      '+': () => zoom(1.5), '=': () => zoom(1.5), '-': () => zoom(1 / 1.5), 0: () => zoom(0),
      i: () => this.#toggle(), m: () => this.#search((id) => this.page.moreLike([id])),
      l: () => this.#search((id) => this.page.lessLike(id)), d: () => this.#download(),
      ArrowLeft: () => shown.prev(), ArrowRight: () => shown.next(), Escape: () => shown.close(),
      Home: () => shown.goTo(0), End: () => shown.goTo(this.#hits.length - 1),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    this.#whenOpen(act);
  }
}

/** A video, at the moment that was found; where it cannot be played, a picture of it and why. @param {Hit} hit */
function film(hit) {
  const moment = hit.moment ?? 0;
  const video = make('video', {
    controls: true, preload: 'metadata', playsinline: true, poster: thumbnailOf(hit.id, 1280), src: originalOf(hit.id),
    'aria-label': moment ? `${hit.name} from ${clock(moment)}` : hit.name,
  });
  const box = make('div', { class: 'film-box' }, video);
  const placed = () => {
    video.dataset.placed = 'yes';
    if (box.dataset.plays) play(box, true);
  };
  video.addEventListener('loadedmetadata', () => {
    video.addEventListener('seeked', placed, { once: true });
    video.currentTime = moment;
    // Sound only is what is left of a film whose pictures cannot be decoded.
    if (!video.videoWidth) refused();
  }, { once: true });
  const refused = () => {
    fill(box, make('div', { class: 'film-refused' },
      make('img', { src: thumbnailOf(hit.id, 1280), alt: hitName(hit) }),
      make('p', {}, 'This browser cannot play this film.'),
      make('a', { class: 'button', href: `${originalOf(hit.id)}?download=true` }, icon('download', 16), 'Download'),
    ));
  };
  video.addEventListener('error', refused);
  return box;
}

/**
 * Plays a film or stops it; one that is still on its way to its moment plays when it is there.
 * @param {HTMLElement | undefined} box
 * @param {boolean} plays
 */
function play(box, plays) {
  const video = box?.querySelector?.('video');
  if (!box || !video) return;
  box.dataset.plays = plays ? 'yes' : '';
  if (!plays) video.pause();
  // A browser may refuse, as in a page that nobody has touched: its controls are there.
  else if (video.dataset.placed) video.play().catch(() => {});
}
