// Commands to copy. `snippet({label, language, text, note})`; `snippets([…], 'client')` shows several as tabs that
// remember the last choice under that name.
import { h } from '../dom.js';
import { copyButton } from './digest.js';
import { tabs } from './tabs.js';

export function snippet({ label, text, note }) {
  return h('div', { class: 'snippet' },
    h('div', { class: 'snippet-head' }, h('span', null, label), copyButton(text, label)),
    h('pre', { tabindex: '0', 'aria-label': label, role: 'region' }, h('code', null, text)),
    note && h('div', { class: 'snippet-note' }, note));
}

export function snippets(list, remember) {
  if (list.length === 0) return null;
  if (list.length === 1) return snippet(list[0]);
  return tabs({ label: 'Ways to use it', remember, items: list.map((one) => ({ id: one.id ?? one.label, label: one.label, render: () => snippet(one) })) });
}
