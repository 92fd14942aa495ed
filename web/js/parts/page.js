// The head of a page and its blocks.
//   pageHead({ title, lead, actions: [nodes], before: node, badges: nodes })      the one h1
//   card('Title', { actions, flush }, …children)        facts([['Name', node], …])
import { h } from '../dom.js';

export function pageHead({ title, lead, actions, before, badges }) {
  return h('header', { class: 'page-head' }, before,
    h('div', { class: 'words' }, h('h1', { tabindex: '-1', class: String(title).length > 80 && 'long' }, title), badges && h('div', { class: 'row' }, badges), lead && h('p', { class: 'lead' }, lead)),
    actions && h('div', { class: 'actions' }, actions));
}

export function card(title, { actions, flush = false, class: more, level = 'h2' } = {}, ...children) {
  return h('section', { class: ['card', flush && 'card-flush', more] },
    (title || actions) && h('div', { class: 'card-head' }, title && h(level, null, title), actions && h('div', { class: 'actions' }, actions)), children);
}

export function facts(pairs) {
  return h('dl', { class: 'facts' }, pairs.filter((pair) => pair && pair[1] !== null && pair[1] !== undefined && pair[1] !== '' && pair[1] !== false).map(([name, value]) => [h('dt', null, name), h('dd', null, value)]));
}
