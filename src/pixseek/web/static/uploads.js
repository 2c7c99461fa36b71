// Pictures that were dropped, pasted or chosen to search by. They stay in this tab's memory: an
// address that names one is only good here.

const LARGEST_SENT = 3_000_000;
const LONGEST_SIDE = 1600;

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
  kept.set(key, { blob, address: URL.createObjectURL(blob), name });
  return key;
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
