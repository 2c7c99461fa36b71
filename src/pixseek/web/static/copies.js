// Files that hold the same picture, side by side, with the one to keep. Nothing is deleted here.

import { duplicates, thumbnailOf } from './api.js';
import { announce, copy, counted, download, fill, make, pause } from './dom.js';
import { icon } from './icons.js';
import { csv } from './selection.js';
import { sizeOf, split } from './wording.js';

/** @typedef {import('./api.js').Duplicates} Duplicates */
/** @typedef {import('./api.js').DuplicateCopy} DuplicateCopy */
/** @typedef {import('./api.js').DuplicateFile} DuplicateFile */
/** @typedef {import('./api.js').DuplicateGroup} DuplicateGroup */
/** @typedef {import('./state.js').Page} Page */

const AGAIN = 500;
const AT_ONCE = 40;
const EXPORTED_AT_ONCE = 500;
const KINDS = /** @type {const} */ ({ all: 'All', exact: 'Equal files', near: 'Changed copies' });
const COLUMNS = /** @type {const} */ (['group', 'part', 'path', 'likeness', 'why', 'width', 'height', 'format', 'size_bytes', 'modified', 'id']);

/** @type {keyof typeof KINDS} */
let kind = 'all';

/**
 * Shows them, for as long as the signal lets it.
 * @param {HTMLElement} place
 * @param {Page} page
 * @param {AbortSignal} signal
 */
export async function showCopies(place, page, signal) {
  const progress = make('progress', { 'aria-label': 'Comparing pictures' });
  const told = make('p', { class: 'quiet' });
  for (;;) {
    const found = await duplicates([['kind', kind], ['limit', String(AT_ONCE)]], signal);
    if (!found.counting) {
      all(place, page, signal, found);
      return;
    }
    if (!progress.isConnected) fill(place, make('div', { class: 'progress' }, progress, told));
    if (found.total) {
      progress.max = found.total;
      progress.value = found.done;
    }
    told.textContent = found.total
      ? `Comparing pictures: ${found.done.toLocaleString('en')} of ${found.total.toLocaleString('en')}. Searches go on meanwhile.`
      : 'Looking for copies …';
    await pause(AGAIN, signal);
  }
}

/** @param {HTMLElement} place @param {Page} page @param {AbortSignal} signal @param {Duplicates} found */
function all(place, page, signal, found) {
  const again = (/** @type {keyof typeof KINDS} */ chosen) => {
    kind = chosen;
    void showCopies(place, page, signal).then(() => {
      /** @type {HTMLElement | null} */ (place.querySelector('.kinds [aria-pressed="true"]'))?.focus();
    }, () => {});
  };
  const list = make('div', { class: 'copies' }, ...found.groups.map((one) => section(one, page)));
  fill(place,
    make('div', { class: 'view-told' },
      make('p', {},
        make('b', {}, found.groups_total ? counted(found.groups_total, 'picture') : 'No copies'),
        found.groups_total ? ` with ${counted(found.copies_total, 'copy', 'copies')} to spare, ${sizeOf(found.copies_bytes)}. ` : ' found. ',
        make('span', { class: 'quiet' }, 'Nothing is deleted here.'),
      ),
      make('div', { class: 'kinds', role: 'group', 'aria-label': 'Which copies' },
        ...Object.entries(KINDS).map(([name, title]) => make('button', {
          type: 'button', class: 'text-button', 'aria-pressed': String(name === kind),
          onclick: () => again(/** @type {keyof typeof KINDS} */ (name)),
        }, title)),
      ),
      found.groups_total ? make('div', { class: 'kinds', role: 'group', 'aria-label': 'Take along' },
        act('Copy paths of all copies', async () => {
          const every = await whole(signal);
          await copy(every.flatMap((one) => one.copies.map((file) => file.path)).join('\n'), 'Paths');
        }),
        act('CSV', async () => download(csv(COLUMNS, rows(await whole(signal))), 'copies.csv', 'text/csv')),
        act('JSON', async () => download(`${JSON.stringify(await whole(signal), null, 2)}\n`, 'copies.json', 'application/json')),
      ) : null,
    ),
    list,
    found.skipped.length ? make('p', { class: 'note' }, `${counted(found.skipped.length, 'picture')} could not be compared: ${found.skipped.slice(0, 3).map((one) => `${split(one.path)[1]} (${one.reason})`).join(', ')}${found.skipped.length > 3 ? ' …' : ''}`) : null,
  );
  if (found.next) further(list, page, signal, found.next);
}

/** The next groups, when the end of those that are there comes near. @param {HTMLElement} list @param {Page} page @param {AbortSignal} signal @param {string} cursor */
function further(list, page, signal, cursor) {
  const more = make('button', { type: 'button', class: 'button', onclick: () => void go() }, 'More');
  const watcher = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && void go(), { rootMargin: '800px' });
  let gone = false;
  const go = async () => {
    if (gone) return;
    gone = true;
    watcher.disconnect();
    try {
      const found = await duplicates([['kind', kind], ['limit', String(AT_ONCE)], ['cursor', cursor]], signal);
      list.append(...found.groups.map((one) => section(one, page)));
      more.remove();
      if (found.next) further(list, page, signal, found.next);
    } catch {
      gone = false;
    }
  };
  list.after(more);
  watcher.observe(more);
  signal.addEventListener('abort', () => watcher.disconnect());
}

/** @param {string} title @param {() => Promise<void>} does */
function act(title, does) {
  return make('button', {
    type: 'button', class: 'text-button',
    onclick: () => void does().catch((error) => announce(error instanceof Error ? error.message : String(error))),
  }, title);
}

/** Every group, page by page. @param {AbortSignal} signal @returns {Promise<DuplicateGroup[]>} */
async function whole(signal) {
  /** @type {DuplicateGroup[]} */
  const every = [];
  let cursor = '';
  do {
    /** @type {[string, string][]} */
    const asked = [['kind', kind], ['limit', String(EXPORTED_AT_ONCE)]];
    if (cursor) asked.push(['cursor', cursor]);
    const found = await duplicates(asked, signal);
    every.push(...found.groups);
    cursor = found.next ?? '';
  } while (cursor);
  return every;
}

/** @param {DuplicateGroup[]} groups @returns {Record<string, string | number | null>[]} */
function rows(groups) {
  const row = (/** @type {DuplicateFile} */ file) => ({ ...file, modified: new Date(file.modified * 1000).toISOString().slice(0, 19) });
  return groups.flatMap((one, index) => [
    { ...row(one.keep), group: index + 1, part: 'keep', likeness: 1, why: one.why },
    ...one.copies.map((file) => ({ ...row(file), group: index + 1, part: file.kind, why: '' })),
  ]);
}

/** @param {DuplicateGroup} group @param {Page} page */
function section(group, page) {
  const paths = group.copies.map((one) => one.path).join('\n');
  return make('section', { class: 'copy-group', 'aria-label': `Copies of ${group.keep.name}` },
    make('div', { class: 'copy-row' },
      figure(group.keep, 'keep', make('span', { class: 'badge keep' }, icon('check', 14), 'Keep'), page),
      ...group.copies.map((one) => figure(one, one.kind, make('span', { class: 'badge' }, one.kind === 'exact' ? 'equal' : `${Math.floor(one.likeness * 100)} % alike`), page)),
    ),
    make('p', { class: 'why' },
      `Keep ${group.keep.name}: ${group.why}.`,
      make('button', { type: 'button', class: 'text-button', onclick: () => void copy(paths, group.copies.length > 1 ? 'Paths' : 'Path') },
        group.copies.length > 1 ? `Copy the ${group.copies.length} other paths` : 'Copy the other path'),
    ),
  );
}

/** @param {DuplicateFile} file @param {string} part @param {HTMLElement} badge @param {Page} page */
function figure(file, part, badge, page) {
  const size = [file.width && file.height ? `${file.width} × ${file.height}` : '', file.format, sizeOf(file.size_bytes)].filter(Boolean).join(' · ');
  const [folder] = split(file.path);
  return make('figure', { class: `copy-file ${part}` },
    make('button', { type: 'button', class: 'copy-picture', 'aria-label': `Look at ${file.name}`, onclick: () => page.go({ open: file.id }) },
      make('img', { src: thumbnailOf(file.id), alt: '', loading: 'lazy', decoding: 'async' }),
    ),
    badge,
    make('figcaption', {},
      make('span', { class: 'copy-name' }, make('b', {}, file.name),
        make('button', { type: 'button', class: 'small', title: 'Copy path', 'aria-label': `Copy path of ${file.path}`, onclick: () => void copy(file.path, 'Path') }, icon('copy', 15)),
      ),
      make('span', { class: 'quiet' }, size),
      make('span', { class: 'quiet copy-folder', title: folder }, folder),
    ),
  );
}
