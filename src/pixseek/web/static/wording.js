// Values as people read them.

/** @typedef {import('./api.js').Hit} Hit */

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];

/** @param {string} month '2023-06' */
export function monthName(month) {
  const [year = '', number = '1'] = month.split('-');
  return `${MONTHS[Number(number) - 1] ?? ''} ${year}`;
}

/** @param {string} months '2023-06..2023-08' */
export function monthsName(months) {
  const [from = '', to = from] = months.split('..');
  return from === to ? monthName(from) : `${monthName(from)} – ${monthName(to)}`;
}

/**
 * The camera's clock, which has no time zone.
 * @param {unknown} taken ISO 8601, or seconds since 1970
 */
export function dateOf(taken) {
  const date = typeof taken === 'number' ? new Date(taken * 1000) : utc(String(taken ?? ''));
  if (!date || Number.isNaN(date.getTime())) return '';
  const day = `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()] ?? ''} ${date.getUTCFullYear()}`;
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  return `${day}, ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
}

/** @param {string} text */
function utc(text) {
  if (!text) return null;
  return new Date(/(Z|[+-]\d\d:?\d\d)$/.test(text) || text.length <= 10 ? text : `${text}Z`);
}

/** Seconds as a player shows them. @param {number} seconds */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((n) => String(n).padStart(2, '0'));
  const hours = Math.floor(whole / 3600);
  return (hours ? [String(hours), ...parts] : [String(Number(parts[0])), parts[1]]).join(':');
}

/** @param {number} bytes */
export function sizeOf(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** @param {number} seconds */
export function exposureOf(seconds) {
  return seconds >= 0.3 ? `${Number(seconds.toFixed(1))} s` : `1/${Math.round(1 / seconds)} s`;
}

/** @param {number} latitude @param {number} longitude */
export function placeOf(latitude, longitude) {
  const side = (/** @type {number} */ n, /** @type {string} */ plus, /** @type {string} */ minus) =>
    `${Math.abs(n).toFixed(3)}° ${n < 0 ? minus : plus}`;
  return `${side(latitude, 'N', 'S')}, ${side(longitude, 'E', 'W')}`;
}

/** @param {string} path @returns {[string, string]} folder and name */
export function split(path) {
  const at = Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\'));
  return at < 0 ? ['', path] : [path.slice(0, at), path.slice(at + 1)];
}

/** What a picture is called by screen readers. @param {Hit} hit */
export function hitName(hit) {
  const parts = [hit.caption || hit.name];
  if (typeof hit.moment === 'number') parts.push(`at ${clock(hit.moment)}`);
  if (hit.page) parts.push(`page ${hit.page}`);
  const date = dateOf(hit.taken);
  if (date) parts.push(date);
  return parts.join(', ');
}

/** @type {Record<string, string>} */
const TITLES = {
  year: 'Year', folder: 'Folder', camera_model: 'Camera', camera_make: 'Maker', lens: 'Lens',
  country: 'Country', region: 'Region', city: 'City', place: 'Place', labels: 'Label',
  people: 'Person', rating: 'Rating', orientation: 'Shape', media: 'Kind', keywords: 'Keyword', tags: 'Tag',
  format: 'Format', month: 'Month', extension: 'File type',
};

/** @param {string} field */
export const titleOf = (field) => TITLES[field] ?? field.replaceAll('_', ' ').replace(/^./, (c) => c.toUpperCase());

/** @param {string} field @param {string} value */
export function valueName(field, value) {
  if (field === 'folder') return split(value)[1] || value;
  if (field === 'rating') return Number(value) > 0 ? '★'.repeat(Number(value)) : 'rejected';
  if (field === 'month') return MONTHS[Number(value) - 1] ?? value;
  return value;
}
