// What stands where nothing is yet: empty({ icon, title, text, action: node, help: node }).
// And what stands where filters leave nothing: nothingFits('No package matches “foo”', clear).
import { h, icon } from '../dom.js';
import { button } from './button.js';

export function empty({ icon: picture = 'box', title, text, action, help, level = 'h2' }) {
  return h('div', { class: 'empty' }, icon(picture), h(level, null, title), text && h('p', null, text), (action || help) && h('div', { class: 'actions' }, action, help));
}

export function nothingFits(text, clear) {
  return empty({ icon: 'search', title: text, action: clear && button('Clear filters', { onclick: clear }) });
}
