// The shape of what is loading, shown only when it takes longer than 150 ms.
//   replace(node, skeleton('table'))          const done = late(() => …); await work; done()
import { h } from '../dom.js';

export function skeleton(shape = 'page') {
  const lines = { table: 6, card: 3, page: 4 }[shape] ?? 4;
  return h('div', { class: 'skeleton', role: 'status' }, h('span', { class: 'sr' }, 'Loading…'),
    shape === 'page' && h('span', { class: 'half' }), shape === 'page' && h('span', { class: 'tall' }),
    Array.from({ length: lines }, () => h('span')));
}

/** Runs `show` after 150 ms unless the answered function is called before. */
export function late(show, after = 150) {
  const timer = setTimeout(show, after);
  return () => clearTimeout(timer);
}
