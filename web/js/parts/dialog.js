// Dialogs for confirmations and for secrets that are shown once; the browser keeps focus inside and gives it back.
//
//   if (await confirm({ title: 'Delete acme 1.2?', text: 'The consequence.', verb: 'Delete', danger: true, typed: 'acme' })) …
//   await confirm({ …, work: async () => api.del(…) })        runs before it closes; a failure is shown inside
//   await secret({ title, value, text, more })                a once-only secret
//   open(dialog) shows any `dialog` element and answers what it was closed with
import { h, replace } from '../dom.js';
import { button, busy } from './button.js';
import { field } from './field.js';
import { headed, open } from './modal.js';
import { snippet } from './snippet.js';

export { headed, open };

export async function confirm({ title, text, verb, danger = false, typed, work, busy: words = 'Working…', body }) {
  const dialog = h('dialog', { class: 'dialog' });
  const problem = h('div', { class: 'summary', role: 'alert', hidden: true });
  const name = typed && field({ label: `Type “${typed}” to go on`, name: 'typed', required: true, validate: (value) => value.trim() === typed ? null : 'That is not the name.' });
  const go = button(verb, { look: danger ? 'danger primary' : 'primary', type: 'submit' });
  const inner = h('form', { novalidate: true, onsubmit: async (event) => {
    event.preventDefault();
    if (name && !name.check()) return name.input.focus();
    if (!work) return dialog.close('yes');
    await busy(go, words, async () => {
      try {
        await work();
        dialog.close('yes');
      } catch (error) {
        problem.hidden = false;
        replace(problem, error.message);
      }
    });
  } },
  headed(title, dialog), [].concat(text ?? []).map((one) => (typeof one === 'string' ? h('p', null, one) : one)), body, name, problem,
  h('div', { class: 'actions actions-end dialog-foot' }, button('Cancel', { onclick: () => dialog.close(''), autofocus: !name }), go));
  dialog.append(inner);
  return (await open(dialog)) === 'yes';
}

/** A secret that is shown once. It lives in this element only and is gone when the dialog closes. */
export async function secret({ title, label = 'Token', value, text, more }) {
  const dialog = h('dialog', { class: 'dialog' });
  dialog.addEventListener('cancel', (event) => event.preventDefault());
  dialog.append(h('div', null,
    h('h2', { id: 'secret-title' }, title),
    h('p', null, text ?? 'This is shown once. Copy it to a safe place now; afterwards only its fingerprint is known.'),
    snippet({ label, language: 'text', text: value }), more,
    h('div', { class: 'actions actions-end' }, button('I have stored it', { look: 'primary', onclick: () => dialog.close('') }))));
  dialog.setAttribute('aria-labelledby', 'secret-title');
  await open(dialog, { stays: true });
  dialog.replaceChildren();
}
