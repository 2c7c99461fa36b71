// Where each picture stands: rows as wide as the page, all pictures whole, none much too large.

/** @typedef {{width: number | null, height: number | null}} Sized */
/** @typedef {{index: number, left: number, width: number}} Place */
/** @typedef {{top: number, height: number, places: Place[]}} Row */

const NARROWEST = 0.45;
const WIDEST = 3.2;

/** Width over height, within what a row bears. @param {Sized} picture */
export function ratioOf(picture) {
  const ratio = picture.width && picture.height ? picture.width / picture.height : 4 / 3;
  return Math.min(WIDEST, Math.max(NARROWEST, ratio));
}

export class Layout {
  /** @type {Row[]} */
  rows = [];
  height = 0;

  /**
   * @param {number} width of the page, in pixels
   * @param {number} wanted height of a row, about
   * @param {number} gap
   */
  constructor(width, wanted, gap) {
    this.width = width;
    this.wanted = wanted;
    this.gap = gap;
  }

  /**
   * Goes on where it ended: only the last row, which may not be full, is laid again.
   * @param {Sized[]} pictures all of them
   */
  extend(pictures) {
    const last = this.rows.pop();
    let first = last?.places[0]?.index ?? 0;
    let top = last?.top ?? 0;
    let sum = 0;
    for (let index = first; index < pictures.length; index += 1) {
      sum += ratioOf(/** @type {Sized} */ (pictures[index]));
      const gaps = (index - first) * this.gap;
      const height = (this.width - gaps) / sum;
      if (height > this.wanted) continue;
      top += this.#close(pictures, first, index + 1, top, height);
      first = index + 1;
      sum = 0;
    }
    if (first < pictures.length) {
      top += this.#close(pictures, first, pictures.length, top, this.wanted);
    }
    this.height = Math.max(0, top - this.gap);
  }

  /**
   * @param {Sized[]} pictures
   * @param {number} first
   * @param {number} end
   * @param {number} top
   * @param {number} height
   * @returns {number} how far down the next row begins
   */
  #close(pictures, first, end, top, height) {
    /** @type {Place[]} */
    const places = [];
    let left = 0;
    for (let index = first; index < end; index += 1) {
      const width = ratioOf(/** @type {Sized} */ (pictures[index])) * height;
      places.push({ index, left, width });
      left += width + this.gap;
    }
    this.rows.push({ top, height, places });
    return height + this.gap;
  }

  /** The row at this height, or the one before the gap there. @param {number} y */
  rowAt(y) {
    let low = 0;
    let high = this.rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (/** @type {Row} */ (this.rows[middle]).top <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The row that has a picture. @param {number} index */
  rowOf(index) {
    let low = 0;
    let high = this.rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.rows[middle]?.places[0]?.index ?? 0) <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * The picture nearest below or above another.
   * @param {number} index
   * @param {1 | -1} way
   */
  beside(index, way) {
    const row = this.rowOf(index);
    const here = this.rows[row]?.places.find((place) => place.index === index);
    const other = this.rows[row + way];
    if (!here || !other) return index;
    const middle = here.left + here.width / 2;
    let best = other.places[0];
    for (const place of other.places) {
      if (best && Math.abs(place.left + place.width / 2 - middle) < Math.abs(best.left + best.width / 2 - middle)) {
        best = place;
      }
    }
    return best?.index ?? index;
  }
}
