// A drawer for small edits: `drawer({ title, body: (close) => node, wide })` resolves when it is closed, with what
// `close(value)` was given. Escape and the cross close it; unsaved input asks first.
import { h } from '../dom.js';
import { headed, open } from './dialog.js';

export async function drawer({ title, body, wide = false }) {
  const dialog = h('dialog', { class: ['drawer', wide && 'drawer-wide'] });
  let answer;
  let touched = false;
  const close = (value) => {
    touched = false;
    answer = value;
    dialog.close();
  };
  dialog.addEventListener('input', () => { touched = true; });
  dialog.addEventListener('cancel', (event) => {
    if (touched && event.target === dialog && !globalThis.confirm('Close without saving?')) event.preventDefault();
  });
  dialog.addEventListener('click', (event) => { if (event.target === dialog && !touched) close(); });
  dialog.append(h('div', null, headed(title, dialog), await body(close)));
  const done = open(dialog);
  dialog.querySelector('input:not([type=hidden]),select,textarea')?.focus();
  await done;
  return answer;
}
