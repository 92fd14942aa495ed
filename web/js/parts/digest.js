// Digests, times and sizes as elements; and the button that copies a text.
//   digest(hex)   copyButton('the text', 'what it is')   time(value)   size(bytes)
import { h, icon, replace } from '../dom.js';
import { ago, bytes, exact, instant, number, short } from '../format.js';
import { announce } from './toast.js';

export function digest(hex, { full = false } = {}) {
  return h('span', { class: 'digest' },
    h('span', { class: 'sr' }, `SHA-256 starting ${short(hex).slice(0, 4)}…`),
    h('code', { 'aria-hidden': 'true', title: hex }, full ? hex : short(hex)),
    copyButton(hex, 'SHA-256'));
}

export function copyButton(text, what = 'text') {
  const node = h('button', { type: 'button', class: 'copy', 'aria-label': `Copy ${what}`, title: `Copy ${what}`, onclick: async (event) => {
    event.preventDefault();
    const done = await copy(text, node);
    replace(node, icon(done ? 'check' : 'warn'));
    node.toggleAttribute('data-done', done);
    announce(done ? 'Copied' : 'The browser refuses the clipboard here. Select the text and copy it by hand.', { quiet: done });
    setTimeout(() => {
      replace(node, icon('copy'));
      node.removeAttribute('data-done');
    }, 2000);
  } }, icon('copy'));
  return node;
}

/** Copies a text; plain HTTP has no clipboard interface, so the older way is tried there. */
export async function copy(text, near = document.body) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // A field beside the button, so that an open dialog does not refuse it the selection.
    const field = h('textarea', { class: 'sr', value: text, 'aria-hidden': 'true', tabindex: '-1' });
    (near.closest?.('dialog') ?? document.body).append(field);
    field.select();
    let done = false;
    try {
      done = document.execCommand('copy');
    } catch {
      done = false;
    }
    field.remove();
    near.focus?.();
    return done;
  }
}

export function time(value) {
  const at = instant(value);
  if (!Number.isFinite(at) || at <= 0) return h('span', { class: 'muted' }, '–');
  return h('time', { datetime: new Date(at).toISOString(), title: exact(at) }, ago(at));
}

export function size(value) {
  return h('span', { class: 'number', title: Number.isFinite(value) ? `${number(value)} bytes` : null }, bytes(value));
}
