// A line of events, newest first: timeline([{ tone: 'full' | '' | 'quiet' | 'bad', body: node }], 'Releases').
import { h } from '../dom.js';

export function timeline(items, label) {
  return h('ol', { class: 'timeline', 'aria-label': label }, items.map((item) => h('li', null, h('span', { class: ['dot', item.tone && `dot-${item.tone}`], 'aria-hidden': 'true' }), h('div', { class: 'stack stack-tight' }, item.body))));
}
