// The page's icons: strokes on a grid of 24, drawn for it.

import { draw } from './dom.js';

/** @type {Record<string, string>} */
const PATHS = {
  search: 'M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13M15.3 15.3L20 20',
  picture: 'M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 8.6v.01',
  close: 'M6 6l12 12M18 6L6 18',
  plus: 'M12 5v14M5 12h14',
  minus: 'M5 12h14',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  like: 'M4 6h9v9H4zM16 9h4v11H9v-2M8.5 8.5v4M6.5 10.5h4',
  unlike: 'M4 6h9v9H4zM16 9h4v11H9v-2M6.5 10.5h4',
  info: 'M12 4a8 8 0 1 0 0 16a8 8 0 0 0 0-16M12 11v5M12 8v.01',
  download: 'M12 4v11M7.5 11L12 15.5 16.5 11M5 20h14',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  filter: 'M4 7h16M7 12h10M10 17h4',
  save: 'M7 4h10v16l-5-4-5 4z',
  sun: 'M12 8a4 4 0 1 0 0 8a4 4 0 0 0 0-8M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z',
  play: 'M8 5.5v13l11-6.5z',
  library: 'M5 5h5v14H5zM10 5h4v14h-4zM15 6l4-1 3 13-4 1z',
  refresh: 'M19 8a8 8 0 1 0 1 6M20 4v4.5h-4.5',
  warning: 'M12 4L2.5 20h19zM12 10v5M12 17.5v.01',
  pin: 'M12 21c4-5 6.5-8 6.5-11.5a6.5 6.5 0 0 0-13 0C5.5 13 8 16 12 21zM12 7.5a2 2 0 1 0 0 4a2 2 0 0 0 0-4',
  left: 'M15 5l-7 7 7 7',
  right: 'M9 5l7 7-7 7',
  zoom: 'M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13M15.3 15.3L20 20M10.5 8v5M8 10.5h5',
};

/**
 * @param {keyof typeof PATHS} name
 * @param {number} [size] in CSS pixels
 */
export function icon(name, size = 20) {
  return draw(
    'svg',
    { viewBox: '0 0 24 24', width: size, height: size, class: 'icon', 'aria-hidden': 'true' },
    draw('path', { d: PATHS[name] ?? '' }),
  );
}
