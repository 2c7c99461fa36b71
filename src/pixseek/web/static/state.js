// The state of the page is its address: what is looked for, what it is narrowed to, what is open.

/** @typedef {import('./api.js').Parameters} Parameters */

/**
 * @typedef {object} State
 * @property {string} q the line in the search box
 * @property {string[]} words phrases kept as chips; '-…' is pushed away
 * @property {string[]} like ids of pictures to be near to
 * @property {string[]} unlike ids of pictures to be far from
 * @property {string[]} images keys of uploaded pictures, see uploads.js
 * @property {Record<string, string[]>} chosen values by metadata field
 * @property {string} months '', or from and to: '2023-06..2023-08'
 * @property {string} area '', or south, west, north, east in degrees
 * @property {string} where a filter as JSON, for what the page has no control for
 * @property {string} group '', or the id of a picture: only its group is shown
 * @property {string} view '' for pictures, 'groups' or 'copies'
 * @property {string} open id of the picture in the viewer, or ''
 */

const LISTS = /** @type {const} */ ({ word: 'words', like: 'like', unlike: 'unlike', image: 'images' });
const TEXTS = /** @type {const} */ (['q', 'months', 'area', 'where', 'group', 'view']);
const VIEWS = ['', 'groups', 'copies'];
const NUMBERS = new Set(['year', 'month', 'rating', 'iso', 'width', 'height']);
const MONTHS = /^(\d{4})-(\d\d)\.\.(\d{4})-(\d\d)$/;

/** @returns {State} */
export function empty() {
  return {
    q: '', words: [], like: [], unlike: [], images: [],
    chosen: {}, months: '', area: '', where: '', group: '', view: '', open: '',
  };
}

/**
 * @param {string} query the part of an address after '?'
 * @param {string} hash
 * @returns {State}
 */
export function read(query, hash) {
  const state = empty();
  for (const [name, value] of new URLSearchParams(query)) {
    if (name in LISTS) state[LISTS[/** @type {keyof LISTS} */ (name)]].push(value);
    else if (TEXTS.includes(/** @type {any} */ (name))) state[/** @type {'q'} */ (name)] = value;
    else if (/^[a-z_]+$/.test(name)) (state.chosen[name] ??= []).push(value);
  }
  if (!MONTHS.test(state.months)) state.months = '';
  if (!corners(state.area)) state.area = '';
  if (state.where && !parsed(state.where)) state.where = '';
  if (!VIEWS.includes(state.view)) state.view = '';
  state.open = decodeURIComponent(hash.replace(/^#/, ''));
  return state;
}

/** @param {State} state @returns {string} the address below the host */
export function write(state) {
  const found = new URLSearchParams();
  for (const name of TEXTS) if (state[name]) found.append(name, state[name]);
  for (const [name, list] of Object.entries(LISTS)) {
    for (const value of state[list]) found.append(name, value);
  }
  for (const [field, values] of Object.entries(state.chosen)) {
    for (const value of values) found.append(field, value);
  }
  const query = found.toString();
  return `/${query && `?${query}`}${state.open && `#${encodeURIComponent(state.open)}`}`;
}

/** What tells two searches apart: all but what is open. @param {State} state */
export const searchKey = (state) => write({ ...state, open: '' });

/** Whether something is looked for, rather than all pictures shown. @param {State} state */
export const asks = (state) =>
  Boolean(state.q.trim() || state.words.length || state.like.length || state.unlike.length || state.images.length);

/** Whether pictures are left out. @param {State} state */
export const isNarrowed = (state) =>
  Boolean(Object.keys(state.chosen).length || state.months || state.area || state.where || state.group);

/** Nothing left out. */
export const WIDE = { chosen: {}, months: '', area: '', where: '', group: '' };

/**
 * The line that is sent: the chips and the box, joined as the query language joins them.
 * @param {State} state
 */
export function line(state) {
  const chips = state.words.map((word) =>
    word.startsWith('-') ? `-(${word.slice(1)})` : word,
  );
  const typed = state.q.trim();
  if (!chips.length) return typed;
  const last = / OR /.test(typed) ? `(${typed})` : typed;
  return [...chips, last].filter(Boolean).join(' AND ');
}

/**
 * @param {State} state
 * @param {string} [without] leaves out one field, 'months' or 'area': for counting its values
 * @returns {object | null}
 */
export function filterOf(state, without = '') {
  /** @type {object[]} */
  const all = [];
  for (const [field, values] of Object.entries(state.chosen)) {
    if (field === without) continue;
    const typed = values.map((value) => (NUMBERS.has(field) ? Number(value) : value));
    all.push({ [field]: typed.length === 1 ? typed[0] : { $in: typed } });
  }
  const span = without === 'months' ? null : spanOf(state.months);
  if (span) all.push(span);
  const at = without === 'area' ? null : corners(state.area);
  if (at) {
    const [south, west, north, east] = at;
    all.push({ latitude: { $gte: south, $lte: north }, longitude: { $gte: west, $lte: east } });
  }
  const own = parsed(state.where);
  if (own) all.push(own);
  if (!all.length) return null;
  return all.length === 1 ? (all[0] ?? null) : { $and: all };
}

/** @param {State} state @param {string} [without] @returns {Parameters} */
export function parametersOf(state, without = '') {
  /** @type {Parameters} */
  const found = [];
  const typed = line(state);
  if (typed) found.push(['q', typed]);
  for (const id of state.like) found.push(['like', id]);
  for (const id of state.unlike) found.push(['unlike', id]);
  if (state.group) found.push(['group', state.group]);
  const where = filterOf(state, without);
  if (where) found.push(['where', JSON.stringify(where)]);
  return found;
}

/**
 * The whole search as one line of the query language; null where that cannot say it.
 * @param {State} state
 */
export function wholeLine(state) {
  if (state.images.length || state.where || state.group || state.view) return null;
  const quoted = (/** @type {string} */ text) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  const parts = [line(state)].filter(Boolean).map((one) => (/ OR /.test(one) ? `(${one})` : one));
  for (const id of state.like) parts.push(`like:${id}`);
  for (const id of state.unlike) parts.push(`-like:${id}`);
  for (const [field, values] of Object.entries(state.chosen)) {
    const sign = NUMBERS.has(field) ? '' : field === 'folder' ? '' : '=';
    const each = values.map((value) => `${field}:${sign}${NUMBERS.has(field) ? value : quoted(value)}`);
    parts.push(each.length > 1 ? `(${each.join(' OR ')})` : each.join(''));
  }
  if (state.months) parts.push(`date:${state.months}`);
  const at = corners(state.area);
  if (at) parts.push(`latitude:${at[0]}..${at[2]} longitude:${at[1]}..${at[3]}`);
  return parts.join(' ') || null;
}

/** From a month to a month, both whole. @param {string} months @returns {object | null} */
function spanOf(months) {
  const match = MONTHS.exec(months);
  if (!match) return null;
  const [y1 = 0, m1 = 0, y2 = 0, m2 = 0] = match.slice(1).map(Number);
  if (y1 === y2) return { year: y1, month: { $gte: m1, $lte: m2 } };
  const parts = [
    { year: y1, month: { $gte: m1 } },
    { year: y2, month: { $lte: m2 } },
  ];
  return { $or: y2 - y1 > 1 ? [...parts, { year: { $gt: y1, $lt: y2 } }] : parts };
}

/** @param {string} area @returns {number[] | null} */
export function corners(area) {
  const numbers = area ? area.split(',').map(Number) : [];
  return numbers.length === 4 && numbers.every(Number.isFinite) ? numbers : null;
}

/** @param {string} text @returns {object | null} */
function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === 'object' && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** @typedef {'push' | 'replace' | 'type'} How */

/** The state now, and who wants to know when it changes. */
export class Page {
  /** @type {State} */
  state = read(location.search, location.hash);
  #typing = false;
  /** @type {((now: State, before: State, how: 'back' | How) => void)[]} */
  #watchers = [];

  constructor() {
    history.scrollRestoration = 'manual';
    addEventListener('popstate', () => {
      this.#typing = false;
      this.#become(read(location.search, location.hash), 'back');
    });
  }

  /** @param {(now: State, before: State, how: 'back' | How) => void} watcher */
  watch(watcher) {
    this.#watchers.push(watcher);
  }

  /**
   * @param {Partial<State>} changes
   * @param {How} [how] 'type': letters of one search are one step back
   */
  go(changes, how = 'push') {
    const next = { ...this.state, ...changes };
    // Who searches or narrows wants to see pictures; in a group, nothing is searched for.
    if (!('view' in changes) && Object.keys(changes).some((name) => name !== 'open')) next.view = '';
    if (asks(next)) next.group = '';
    const address = write(next);
    if (address === write(this.state)) return;
    const replaces = how === 'replace' || (how === 'type' && this.#typing);
    this.#typing = how === 'type';
    if (replaces) history.replaceState({ ...history.state }, '', address);
    else {
      history.replaceState({ ...history.state, top: scrollY }, '');
      history.pushState({ viewer: Boolean(next.open && !this.state.open) }, '', address);
    }
    this.#become(next, how);
  }

  /** @param {State} next @param {'back' | How} how */
  #become(next, how) {
    const before = this.state;
    this.state = next;
    for (const watcher of this.#watchers) watcher(next, before, how);
  }

  /** Chooses or gives up one value of a field. @param {string} field @param {string} value */
  toggle(field, value) {
    const chosen = { ...this.state.chosen };
    const had = chosen[field] ?? [];
    const now = had.includes(value) ? had.filter((one) => one !== value) : [...had, value];
    if (now.length) chosen[field] = now;
    else delete chosen[field];
    this.go({ chosen, open: '' });
  }

  /**
   * Looks for pictures like these and nothing else; filters stay.
   * @param {string[]} ids
   */
  moreLike(ids) {
    this.go({ q: '', words: [], like: ids, unlike: [], images: [], open: '' });
  }

  /** Pushes what is found away from this picture. @param {string} id */
  lessLike(id) {
    const like = this.state.like.filter((one) => one !== id);
    const unlike = [...this.state.unlike.filter((one) => one !== id), id];
    this.go({ like, unlike, open: '' });
  }
}
