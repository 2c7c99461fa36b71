// What the server says, typed, and the one way to ask it.

/**
 * @typedef {object} Hit
 * @property {string} id
 * @property {number | null} score cosine similarity, -1 to 1; null when nothing was searched for
 * @property {number | null} [match] 0 to 1: how sure it is that the picture is meant
 * @property {string} name
 * @property {string} path
 * @property {number | null} width
 * @property {number | null} height
 * @property {number | null} [taken] the camera's clock, seconds since 1970 as if UTC
 * @property {number | null} [moment] seconds into a video
 * @property {number | null} [page]
 * @property {string} thumbnail
 * @property {string | null} [caption]
 * @property {string | null} [camera_model]
 * @property {number | null} [latitude]
 * @property {number | null} [longitude]
 * @property {string | null} [media] image, animation, video or document
 */

/** @typedef {{hits: Hit[], next: string | null, total: number | null, took_ms: number, note?: string | null}} Answer */
/** @typedef {string | number | boolean} Value */
/** @typedef {{value: Value, count: number}} FacetValue */
/** @typedef {Record<string, FacetValue[]>} Facets */
/** @typedef {{month: string, count: number}} Month */
/** @typedef {{latitude: number, longitude: number, count: number, id: string}} Spot */
/** @typedef {{kind: 'field' | 'value', field: string, value: string | null, count: number | null, meaning: string | null}} Completion */
/** @typedef {{path: string, reason: string}} Skipped */
/** @typedef {{path: string, files: number, present: boolean}} Folder */
/**
 * @typedef {object} Status
 * @property {string} library
 * @property {string} version
 * @property {{name: string, summary: string | null, languages: string | null, ready: boolean}} model
 * @property {number} items
 * @property {number} files
 * @property {number} size_bytes
 * @property {Folder[]} folders
 * @property {Skipped[]} skipped the first thousand
 * @property {number} skipped_total
 * @property {string | null} writer the process that is writing now
 * @property {boolean} writable whether indexing may be started here
 */
/**
 * @typedef {object} Job
 * @property {string} id
 * @property {'waiting' | 'running' | 'done' | 'failed' | 'stopped'} state
 * @property {number} total files
 * @property {number} done
 * @property {number} encoded
 * @property {number} skipped
 * @property {string | null} waiting_for the other process that is writing
 * @property {string | null} error
 * @property {Record<string, number> | null} report
 */
/** @typedef {{id: string, path: string, name: string, width: number | null, height: number | null, format: string, size_bytes: number, modified: number}} DuplicateFile */
/** @typedef {DuplicateFile & {kind: 'exact' | 'near', likeness: number}} DuplicateCopy */
/** @typedef {{keep: DuplicateFile, why: string, copies: DuplicateCopy[]}} DuplicateGroup */
/** @typedef {{counting: boolean, done: number, total: number, groups: DuplicateGroup[], next: string | null, groups_total: number, copies_total: number, copies_bytes: number, skipped: Skipped[]}} Duplicates */
/** @typedef {{id: string, name: string, labels: string[], size: number, hits: Hit[]}} Cluster */
/** @typedef {{counting: boolean, groups: Cluster[]}} Clusters */
/** @typedef {{name: string, line: string}} SavedSearch */
/** @typedef {{id: string, metadata: Record<string, any>, paths: string[], hit: Hit}} Item */
/** @typedef {[string, string][]} Parameters */

const PREFIX = '/api/v1';

/** An answer that is a refusal, or no answer at all (status 0). */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} title
   * @param {string} detail
   * @param {number} [again] seconds to wait, when the server is busy
   */
  constructor(status, title, detail, again) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.again = again;
  }
}

/**
 * @param {string} path below /api/v1
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
async function ask(path, options = {}) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(PREFIX + path, { credentials: 'same-origin', ...options });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Refused(0, 'no answer', 'The server does not answer.');
  }
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => ({}));
  const again = Number(response.headers.get('Retry-After')) || undefined;
  const title = problem.title || response.statusText;
  throw new Refused(response.status, title, readable(problem.detail) || title, again);
}

/** @param {unknown} detail */
function readable(detail) {
  if (typeof detail === 'string') return detail;
  return detail ? JSON.stringify(detail) : '';
}

/** @param {Parameters} parameters */
function queried(parameters) {
  const text = new URLSearchParams(parameters).toString();
  return text && `?${text}`;
}

/**
 * @param {Parameters} parameters
 * @param {Blob[]} images to search by, uploaded
 * @param {AbortSignal} [signal]
 * @returns {Promise<Answer>}
 */
export function search(parameters, images, signal) {
  if (!images.length) return ask(`/search${queried(parameters)}`, { signal });
  const form = new FormData();
  for (const image of images) form.append('image', image, 'name' in image ? String(image.name) : 'picture');
  form.append('request', JSON.stringify(asObject(parameters)));
  return ask('/search', { method: 'POST', body: form, signal });
}

/**
 * The same parameters as the request field of an upload has them.
 * @param {Parameters} parameters
 */
function asObject(parameters) {
  /** @type {Record<string, any>} */
  const request = {};
  for (const [name, value] of parameters) {
    if (name === 'like' || name === 'unlike') request[name] = [...(request[name] ?? []), value];
    else if (name === 'limit') request[name] = Number(value);
    else request[name] = value;
  }
  return request;
}

/** @param {Parameters} parameters @param {AbortSignal} [signal] @returns {Promise<Facets>} */
export const facets = (parameters, signal) => ask(`/facets${queried(parameters)}`, { signal });

/** @param {Parameters} parameters @param {AbortSignal} [signal] @returns {Promise<Month[]>} */
export const timeline = (parameters, signal) => ask(`/timeline${queried(parameters)}`, { signal });

/**
 * @param {Parameters} parameters
 * @param {number} grid degrees: pictures nearer than that are one spot
 * @param {AbortSignal} [signal]
 * @returns {Promise<Spot[]>}
 */
export const spots = (parameters, grid, signal) =>
  ask(`/map${queried([...parameters, ['grid', String(grid)], ['top', '400']])}`, { signal });

/** @param {string} prefix @param {AbortSignal} signal @returns {Promise<Completion[]>} */
export const complete = (prefix, signal) => ask(`/complete${queried([['prefix', prefix]])}`, { signal });

/** @param {string} id @param {AbortSignal} [signal] @returns {Promise<Item>} */
export const item = (id, signal) => ask(`/items/${encodeURIComponent(id)}`, { signal });

/** @returns {Promise<Status>} */
export const status = () => ask('/status', { cache: 'no-store' });

/** @returns {Promise<Job>} */
export const startIndexing = () =>
  ask('/jobs', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ kind: 'index' }),
  });

/** @param {Parameters} parameters kind, limit, cursor @param {AbortSignal} [signal] @returns {Promise<Duplicates>} */
export const duplicates = (parameters, signal) => ask(`/duplicates${queried(parameters)}`, { signal });

/** @param {AbortSignal} [signal] @returns {Promise<Clusters>} */
export const clusters = (signal) => ask('/clusters', { signal });

/** @returns {Promise<SavedSearch[]>} those of the library */
export const savedSearches = async () => (await ask('/saved')).searches;

/** @param {string} name @param {string} line @returns {Promise<SavedSearch[]>} */
export const saveSearch = async (name, line) =>
  (await ask(`/saved/${encodeURIComponent(name)}`, {
    method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ line }),
  })).searches;

/** @param {string} name @returns {Promise<SavedSearch[]>} */
export const forgetSearch = async (name) =>
  (await ask(`/saved/${encodeURIComponent(name)}`, { method: 'DELETE' })).searches;

/** @returns {Promise<{jobs: Job[], writer: string | null}>} */
export const jobs = () => ask('/jobs', { cache: 'no-store' });

/** @param {string} id */
export const jobEvents = (id) => new EventSource(`${PREFIX}/jobs/${encodeURIComponent(id)}/events`);

/** @param {string} id @param {320 | 1280} [size] */
export const thumbnailOf = (id, size = 320) =>
  `${PREFIX}/items/${encodeURIComponent(id)}/thumbnail?size=${size}`;

/** @param {string} id */
export const originalOf = (id) => `${PREFIX}/items/${encodeURIComponent(id)}/original`;
