// Styles that the first page does without, fetched once by what shows them first: `await sheet('lists')`.
import { h } from './dom.js';

const asked = new Map();

export function sheet(name) {
  if (!asked.has(name)) {
    asked.set(name, new Promise((resolve, reject) => {
      const link = h('link', { rel: 'stylesheet', href: `/ui/css/${name}.css`, onload: resolve, onerror: () => {
        // Asked for again, it is fetched again.
        asked.delete(name);
        link.remove();
        reject(new TypeError('A part of this page could not be fetched.'));
      } });
      document.head.append(link);
    }));
  }
  return asked.get(name);
}
