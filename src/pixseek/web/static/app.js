// The page put together: the address changes, and everything follows.

import { Box } from './box.js';
import { announce, byId, counted, fill, make, settled } from './dom.js';
import { FacetPanel, showChosen } from './facets.js';
import { Grid } from './grid.js';
import { icon } from './icons.js';
import { Library } from './library.js';
import { WorldMap } from './map.js';
import { Results } from './results.js';
import { SavedSearches, named } from './saved.js';
import { Selection } from './selection.js';
import { Page, WIDE, asks, empty, isNarrowed, searchKey } from './state.js';
import { Timeline } from './timeline.js';
import { restore } from './uploads.js';
import { Viewer } from './viewer.js';
import { Views } from './views.js';

/** @typedef {import('./state.js').State} State */

const root = document.documentElement;
const small = matchMedia('(max-width: 860px)');
const page = new Page();
const results = new Results();
const grid = new Grid({
  open: (index) => page.go({ open: grid.hits[index]?.id ?? '' }),
  like: (hit) => page.moreLike([hit.id]),
  choose: (index, through) => selection.choose(index, through),
  more: () => {
    if (!page.state.view) void results.more(page.state);
  },
});
const selection = new Selection(grid, page);
const viewer = new Viewer(page, grid, () => void results.more(page.state));
const box = new Box(page);
const panel = new FacetPanel(page);
const timeline = new Timeline(page);
const map = new WorldMap(page);
const saved = new SavedSearches(page, () => Boolean(library.now?.writable));
const views = new Views(page, () => showChosen(page));
const library = new Library({
  known: (now) => {
    saved.look();
    if (!now.items && !results.loading) showBlank();
  },
  changed: () => {
    results.forget();
    views.again();
    // Pictures must not jump away under someone who looks at them.
    if (scrollY < 40 && !viewer.isOpen) void refresh();
    else byId('changed').hidden = false;
  },
  back: () => {
    announce('The server answers again');
    void refresh();
  },
});

/**
 * Counts what stands beside the pictures: after they are there, not for every letter, one thing
 * after the other and only what can be seen. The next search must not wait for it.
 * @param {State} state
 */
async function count(state) {
  const goesOn = () => sideIsShown() && searchKey(state) === searchKey(page.state);
  await timeline.look(state);
  if (goesOn()) await panel.look(state);
  if (goesOn()) await map.look(state);
  // Where nothing tells the pictures apart, the grid has the whole page.
  const bare = !byId('facets').childElementCount && byId('places').hidden && byId('saved').hidden;
  if (goesOn() && !isNarrowed(state) && grid.hits.length) root.classList.toggle('bare', bare);
}

function sideIsShown() {
  return small.matches ? root.classList.contains('sheet') : !root.classList.contains('no-side');
}
const countSoon = settled((/** @type {State} */ state) => void count(state), 40);
const countLater = settled((/** @type {State} */ state) => void count(state), 400);

let top = 0;
/** The search that is counted beside the pictures. */
let countedKey = '';
let typing = false;

page.watch((now, before, how) => {
  document.title = [named(now), 'pixseek'].filter(Boolean).join(' – ');
  if (searchKey(now) !== searchKey(before)) {
    top = how === 'back' ? Number(history.state?.top ?? 0) : 0;
    typing = how === 'type';
    if (!typing) selection.clear();
    box.show(now, how === 'type');
    showChosen(page);
    saved.show();
    views.show(now);
    if (now.view) scrollTo({ top: 0 });
    else void results.look(now, how === 'back');
  } else if (now.open !== before.open) void viewer.show(now.open, results.found?.hits ?? []);
  if (how === 'back' && searchKey(now) !== searchKey(before) && !now.open) void viewer.show('', []);
});

results.watch((fresh) => {
  const { found, loading, refused } = results;
  byId('bar').classList.toggle('loading', loading);
  byId('grid').setAttribute('aria-busy', String(loading));
  if (loading) return;
  if (refused?.status === 0) {
    library.lose();
    if (grid.hits.length) return;
  }
  if (refused?.status === 400 && grid.hits.length) {
    // A line that is not whole yet: what it found before stays while it is typed on.
    byId('note').textContent = refused.message;
    byId('note').hidden = false;
    return;
  }
  const hits = found?.hits ?? [];
  viewer.know(hits);
  grid.show(hits, found?.total ?? hits.length, fresh);
  summarise();
  showBlank();
  if (!fresh) return;
  scrollTo({ top });
  performance.measure('pixseek:answered', 'pixseek:asked');
  if (found && countedKey !== found.key) {
    countedKey = found.key;
    (typing ? countLater : countSoon)(page.state);
  }
  if (page.state.open) void viewer.show(page.state.open, hits);
});

/** Asks again for what is shown. */
async function refresh() {
  byId('changed').hidden = true;
  countedKey = '';
  top = scrollY;
  if (!page.state.view) await results.look(page.state);
}

function summarise() {
  const { found, refused } = results;
  if (!found || refused) {
    fill(byId('summary'), '');
    return;
  }
  const total = found.total ?? found.hits.length;
  fill(
    byId('summary'),
    total ? counted(total, 'picture') : 'No pictures',
    total > 1 && make('span', { class: 'order' }, asks(page.state) ? ', nearest first' : page.state.group ? ', most typical first' : ', newest first'),
    make('span', { class: 'took', title: `${found.took.toFixed(1)} ms in the server` }, ` ${Math.round(found.shown)} ms`),
  );
  byId('note').textContent = found.note;
  byId('note').hidden = !found.note || !found.hits.length;
}

/** Says plainly why there is nothing to see. */
function showBlank() {
  const { found, refused } = results;
  const { state } = page;
  const blank = byId('blank');
  blank.hidden = Boolean(state.view) || (!refused && Boolean(found?.hits.length));
  if (blank.hidden || (!found && !refused)) return;
  const clear = make('button', {
    type: 'button', class: 'button', onclick: () => page.go({ ...WIDE }),
  }, 'Without the filters');
  if (refused) {
    fill(blank, icon('warning', 40), make('h2', {}, refused.status === 0 ? 'The server does not answer' : 'That cannot be searched for'), make('p', {}, refused.message));
  } else if (library.now && !library.now.items) {
    fill(blank, icon('library', 40), make('h2', {}, 'No pictures yet'), make('p', {}, 'Index a folder to fill this library:'), make('code', {}, 'pixseek index ~/Pictures'));
  } else {
    fill(
      blank, icon('search', 40), make('h2', {}, 'Nothing matches'),
      make('p', {}, found?.note || (isNarrowed(state) ? 'No picture passes all of the filters.' : 'No picture in this library matches.')),
      isNarrowed(state) ? clear : null,
    );
  }
}

function switches() {
  byId('theme').addEventListener('click', () => {
    const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
    localStorage.setItem('pixseek:theme', root.dataset.theme);
  });
  const filters = byId('filters');
  const said = () => filters.setAttribute('aria-expanded', String(sideIsShown()));
  const toggle = () => {
    if (small.matches) root.classList.toggle('sheet');
    else localStorage.setItem('pixseek:side', root.classList.toggle('no-side') ? 'no' : 'yes');
    said();
    if (!sideIsShown()) return;
    countSoon(page.state);
    if (small.matches) byId('side').focus();
  };
  filters.addEventListener('click', toggle);
  byId('side-close').addEventListener('click', () => {
    root.classList.remove('sheet');
    said();
    filters.focus();
  });
  small.addEventListener('change', said);
  said();
  byId('changed').addEventListener('click', () => {
    scrollTo({ top: 0 });
    void refresh();
  });
}

function rowHeights() {
  const range = /** @type {HTMLInputElement} */ (byId('size'));
  const kept = Number(localStorage.getItem('pixseek:size'));
  const narrow = innerWidth < 560;
  range.value = String(kept || (narrow ? 120 : 190));
  const use = () => {
    grid.rowHeight = Number(range.value);
  };
  range.addEventListener('input', () => {
    use();
    localStorage.setItem('pixseek:size', range.value);
  });
  use();
}

addEventListener('keydown', (event) => {
  if (event.defaultPrevented || viewer.isOpen) return;
  const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
  if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    box.focus();
  } else if (event.key === 'Escape') {
    if (root.classList.contains('sheet')) byId('side-close').click();
    else if (selection.size) selection.clear();
  } else if (event.key === 'a' && (event.ctrlKey || event.metaKey) && selection.size) {
    event.preventDefault();
    selection.all();
  }
});

byId('skip').addEventListener('click', (event) => {
  event.preventDefault();
  grid.reveal(grid.current);
});

byId('brand').addEventListener('click', (event) => {
  if (event instanceof MouseEvent && (event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  page.go(empty());
});

switches();
rowHeights();
// Only a search by a picture has to wait for what the browser keeps.
const restored = restore();
if (page.state.images.length) await restored;
box.show(page.state, false);
showChosen(page);
document.title = [named(page.state), 'pixseek'].filter(Boolean).join(' – ');
views.show(page.state);
if (!page.state.view) void results.look(page.state);
void library.look();
