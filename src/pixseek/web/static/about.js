// What is known of one picture, as a panel of plain rows.

import { item, originalOf } from './api.js';
import { copy, fill, make } from './dom.js';
import { icon } from './icons.js';
import { clock, dateOf, exposureOf, placeOf, sizeOf, split, titleOf, valueName } from './wording.js';

/** @typedef {import('./api.js').Hit} Hit */
/** @typedef {import('./api.js').Item} Item */
/** @typedef {import('./state.js').Page} Page */

const TOLD_OTHERWISE = new Set([
  'path', 'folder', 'name', 'extension', 'size', 'modified', 'width', 'height', 'format', 'taken', 'year',
  'month', 'camera_make', 'camera_model', 'lens', 'iso', 'aperture', 'exposure', 'focal_length', 'latitude',
  'longitude', 'altitude', 'caption', 'description', 'title', 'keywords', 'labels', 'tags', 'text', 'text_lines',
  'described', 'words', 'people', 'orientation', 'moment', 'media', 'page', 'taken_utc', 'direction', 'country', 'region',
  'city', 'rating', 'notes',
]);

/**
 * Fills the panel: at once with what the hit says, then with everything.
 * @param {HTMLElement} panel
 * @param {Hit} hit
 * @param {Page} page
 * @param {AbortSignal} signal
 */
export async function showItem(panel, hit, page, signal) {
  panel.scrollTop = 0;
  fill(panel, ...rows(hit, {}, hit.path ? [hit.path] : [], page));
  try {
    const all = await item(hit.id, signal);
    if (!signal.aborted) fill(panel, ...rows(hit, all.metadata, all.paths, page));
  } catch {
    // What the hit says is there.
  }
}

/**
 * An item as if it had been found; null when there is none.
 * @param {string} id
 * @returns {Promise<Hit | null>}
 */
showItem.hit = async (id) => {
  try {
    return (await item(id)).hit;
  } catch {
    return null;
  }
};

/**
 * @param {Hit} hit
 * @param {Record<string, any>} data
 * @param {string[]} paths
 * @param {Page} page
 */
function rows(hit, data, paths, page) {
  const size = [hit.width && hit.height ? `${hit.width} × ${hit.height}` : '', data.format, data.size && sizeOf(data.size)];
  const camera = [...new Set([data.camera_make, data.camera_model ?? hit.camera_model])].filter(Boolean).join(' ');
  const settings = [
    data.focal_length && `${data.focal_length} mm`, data.aperture && `f/${data.aperture}`,
    data.exposure && exposureOf(data.exposure), data.iso && `ISO ${data.iso}`,
  ].filter(Boolean).join(' · ');
  const latitude = data.latitude ?? hit.latitude;
  const longitude = data.longitude ?? hit.longitude;
  const others = Object.entries(data).filter(([name, value]) => !TOLD_OTHERWISE.has(name) && value !== '');
  return [
    make('h2', {}, data.title || hit.name),
    data.caption || hit.caption ? make('p', { class: 'words' }, data.caption || hit.caption) : null,
    data.description ? make('p', { class: 'words' }, data.description) : null,
    ...paths.map(pathRow),
    make(
      'dl',
      {},
      ...row('Taken', dateOf(data.taken ?? hit.taken)),
      ...row('Moment', typeof hit.moment === 'number' ? clock(hit.moment) : ''),
      ...row('Page', hit.page ? String(hit.page) : ''),
      ...row('Size', size.filter(Boolean).join(' · ')),
      ...row('Camera', camera),
      ...row('Lens', data.lens),
      ...row('Exposure', settings),
      ...row('Rating', data.rating ? valueName('rating', String(data.rating)) : ''),
      ...row('Where', [data.city, data.region, data.country].filter(Boolean).join(', ')),
      ...row('Place', typeof latitude === 'number' && typeof longitude === 'number' ? place(latitude, longitude) : null),
      ...row('Altitude', typeof data.altitude === 'number' ? `${Math.round(data.altitude)} m` : ''),
      ...row('Looking', typeof data.direction === 'number' ? `${Math.round(data.direction)}°` : ''),
      ...row('People', values('people', data.people, page)),
      ...row('Labels', values('labels', data.labels, page)),
      ...row('Tags', values('tags', data.tags, page)),
      ...row('Keywords', values('keywords', data.keywords, page)),
      ...row('Text in it', typeof data.text === 'string' && data.text ? make('span', { class: 'read' }, data.text) : null),
      ...others.flatMap(([name, value]) => row(titleOf(name), Array.isArray(value) ? value.join(', ') : String(value))),
      ...row('Left out', Array.isArray(data.notes) ? data.notes.join('; ') : data.notes),
      ...row('Match', nearness(hit)),
      ...row('Id', make('code', {}, hit.id)),
    ),
    make(
      'p',
      { class: 'acts' },
      make('button', { type: 'button', onclick: () => page.moreLike([hit.id]) }, icon('like', 16), 'More like this'),
      make('button', { type: 'button', onclick: () => page.lessLike(hit.id) }, icon('unlike', 16), 'Less like this'),
      make('a', { href: `${originalOf(hit.id)}?download=true`, class: 'button' }, icon('download', 16), 'Download'),
    ),
  ];
}

/** @param {string} path */
function pathRow(path) {
  const [folder, name] = split(path);
  return make(
    'p',
    { class: 'path' },
    make('span', { class: 'folder' }, folder && `${folder}/`, make('b', {}, name)),
    make('button', { type: 'button', title: 'Copy path', 'aria-label': `Copy path of ${name}`, onclick: () => void copy(path, 'Path') }, icon('copy', 16)),
  );
}

/** @param {string} name @param {Node | string | null | undefined | false} value */
function row(name, value) {
  return value ? [make('dt', {}, name), make('dd', {}, value)] : [];
}

/** Coordinates, for a map program of this machine; no map is fetched. @param {number} latitude @param {number} longitude */
function place(latitude, longitude) {
  const text = `${latitude.toFixed(5)},${longitude.toFixed(5)}`;
  return make(
    'span',
    { class: 'whole' },
    make('a', { href: `geo:${text}` }, placeOf(latitude, longitude)),
    ' ',
    make('button', { type: 'button', class: 'small', title: 'Copy coordinates', 'aria-label': 'Copy coordinates', onclick: () => void copy(text, 'Coordinates') }, icon('copy', 14)),
  );
}

/** @param {string} field @param {unknown} given @param {Page} page */
function values(field, given, page) {
  const list = Array.isArray(given) ? given : given ? [given] : [];
  if (!list.length) return null;
  return make(
    'span',
    { class: 'values' },
    ...list.map((value) => make('button', { type: 'button', class: 'chip-button', onclick: () => page.toggle(field, String(value)) }, String(value))),
  );
}

/** @param {Hit} hit */
function nearness(hit) {
  if (typeof hit.match === 'number') return `${Math.round(hit.match * 100)} %`;
  return typeof hit.score === 'number' ? `score ${hit.score.toFixed(3)}` : '';
}
