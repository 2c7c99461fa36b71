// The library in groups of pictures that show much the same.

import { clusters, thumbnailOf } from './api.js';
import { counted, fill, make, pause, within } from './dom.js';
import { empty } from './state.js';

/** @typedef {import('./api.js').Cluster} Cluster */
/** @typedef {import('./state.js').Page} Page */

/** Milliseconds until it is asked again how far it is. */
const AGAIN = 500;
const SHOWN = 5;

/** @type {Map<string, string>} what groups are called, by the id that stands for each */
const names = new Map();

/** @param {string} id */
export const groupName = (id) => names.get(id) ?? 'like one picture';

/** Finds out what groups are called. @param {AbortSignal} signal */
export async function learnNames(signal) {
  await groups(signal, () => {});
}

/**
 * @param {AbortSignal} signal
 * @param {(found: Cluster[], counting: boolean) => void} told
 */
async function groups(signal, told) {
  for (;;) {
    const { groups: found, counting } = await clusters(signal);
    for (const one of found) names.set(one.id, one.name);
    told(found, counting);
    if (!counting) return;
    await pause(AGAIN, signal);
  }
}

/**
 * Shows them all, for as long as the signal lets it.
 * @param {HTMLElement} place
 * @param {Page} page
 * @param {AbortSignal} signal
 */
export async function showGroups(place, page, signal) {
  let shown = '';
  await groups(signal, (found, counting) => {
    // What has not changed stays, with the keyboard on it.
    const key = found.map((one) => `${one.id} ${one.size}`).join();
    if (key === shown && found.length) return;
    shown = key;
    if (!found.length) {
      fill(place, counting
        ? make('div', { class: 'progress' }, make('progress', { 'aria-label': 'Making groups' }), make('p', { class: 'quiet' }, 'Putting the pictures into groups …'))
        : make('p', { class: 'quiet' }, 'There are no pictures to group.'));
      return;
    }
    fill(place,
      make('p', { class: 'view-told' }, make('b', {}, counted(found.length, 'group')), ' of pictures that show much the same, the largest first.'),
      make('ul', { class: 'groups' }, ...found.map((one) => card(one, page))),
    );
  });
}

/** @param {Cluster} group @param {Page} page */
function card(group, page) {
  const pictures = group.hits.slice(0, SHOWN);
  return make('li', {},
    make('a', {
      class: 'group-card', href: `/?group=${group.id}`,
      onclick: within(() => page.go({ ...empty(), group: group.id })),
    },
      make('span', { class: `mosaic of-${pictures.length}`, 'aria-hidden': 'true' },
        ...pictures.map((hit) => make('img', { src: thumbnailOf(hit.id), alt: '', loading: 'lazy', decoding: 'async' })),
      ),
      make('span', { class: 'group-name' }, group.name || 'pictures'),
      make('span', { class: 'count' }, counted(group.size, 'picture')),
    ),
  );
}
