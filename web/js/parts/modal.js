// What every dialog shares: being shown, and a head with its name and a cross. The browser keeps the focus inside.
import { h } from '../dom.js';
import { button } from './button.js';

/** Shows a dialog; resolves with its return value once closed, and gives the focus back. */
export function open(dialog, { stays = false } = {}) {
  const before = document.activeElement;
  document.body.append(dialog);
  dialog.showModal();
  // Going elsewhere closes it: it belongs to the page it was opened on. A secret that is shown once stays.
  const away = () => dialog.close('');
  if (!stays) addEventListener('hashchange', away);
  dialog.addEventListener('close', () => removeEventListener('hashchange', away), { once: true });
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      // Unless the focus has found a place already: the page behind may be another one by now.
      if (before?.isConnected && (!document.activeElement || document.activeElement === document.body)) before.focus();
      resolve(dialog.returnValue);
    }, { once: true });
  });
}

export function headed(title, dialog) {
  const id = `dialog-${Math.random().toString(36).slice(2)}`;
  dialog.setAttribute('aria-labelledby', id);
  return h('div', { class: 'dialog-head' }, h('h2', { id }, title), button('Close', { look: 'icon', icon: 'x', onclick: () => dialog.close('') }));
}
