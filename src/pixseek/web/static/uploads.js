// Pictures that were dropped, pasted or chosen to search by. This browser keeps the last of them, so
// that an address that names one is good after a reload; it is good nowhere else.

const LARGEST_SENT = 3_000_000;
const LONGEST_SIDE = 1600;
const STORE = 'uploads';
/** Pictures that the browser keeps, the latest. */
const MOST_KEPT = 20;

/** @typedef {{blob: Blob, address: string, name: string}} Upload */

/** @type {Map<string, Upload>} */
const kept = new Map();
let count = 0;

/** @param {string} key @returns {Upload | undefined} */
export const uploaded = (key) => kept.get(key);

/**
 * Keeps a picture, made smaller when it is large: a model looks at a few hundred pixels a side.
 * @param {File | Blob} file
 * @returns {Promise<string>} its key
 */
export async function keep(file) {
  const name = 'name' in file ? String(file.name) : 'pasted picture';
  const blob = file.size > LARGEST_SENT ? await smaller(file) : file;
  const key = `${Date.now().toString(36)}${(count += 1)}`;
  remember(key, blob, name);
  void store(key, blob, name);
  return key;
}

/** @param {string} key @param {Blob} blob @param {string} name */
function remember(key, blob, name) {
  kept.set(key, { blob, address: URL.createObjectURL(blob), name });
}

/** @returns {Promise<IDBDatabase>} */
function database() {
  return new Promise((done, failed) => {
    const asked = indexedDB.open('pixseek', 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE);
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });
}

/** @template T @param {IDBRequest<T>} asked @returns {Promise<T>} */
function answered(asked) {
  return new Promise((done, failed) => {
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });
}

/** @param {string} key @param {Blob} blob @param {string} name */
async function store(key, blob, name) {
  try {
    const places = (await database()).transaction(STORE, 'readwrite').objectStore(STORE);
    await answered(places.put({ blob, name }, key));
    // Keys begin with the time, so the oldest come first.
    const keys = await answered(places.getAllKeys());
    for (const old of keys.slice(0, -MOST_KEPT)) places.delete(old);
  } catch {
    // A browser that keeps nothing has them in this tab's memory.
  }
}

/** Brings back what this browser has kept. */
export async function restore() {
  try {
    const places = (await database()).transaction(STORE).objectStore(STORE);
    const [keys, values] = await Promise.all([answered(places.getAllKeys()), answered(places.getAll())]);
    keys.forEach((key, index) => {
      if (!kept.has(String(key))) remember(String(key), values[index].blob, values[index].name);
    });
  } catch {
    // The search says that its picture is not kept.
  }
}

/** @param {Blob} file @returns {Promise<Blob>} as given, where the browser cannot read it */
async function smaller(file) {
  try {
    const image = await createImageBitmap(file, { imageOrientation: 'from-image' });
    const scale = Math.min(1, LONGEST_SIDE / Math.max(image.width, image.height));
    const canvas = new OffscreenCanvas(
      Math.max(1, Math.round(image.width * scale)),
      Math.max(1, Math.round(image.height * scale)),
    );
    canvas.getContext('2d')?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.92 });
  } catch {
    return file;
  }
}

/** The pictures among what is dropped or pasted. @param {DataTransfer | null} data @returns {File[]} */
export function picturesIn(data) {
  return [...(data?.files ?? [])].filter(
    (file) => file.type.startsWith('image/') || /\.(heic|heif|avif|jp2|tiff?)$/i.test(file.name),
  );
}
