// What failed, in words, with the server's message and a way to try again: failure(error, retry, title, level); a whole
// page that failed has its heading at level h1.
import { h, icon } from '../dom.js';
import { button, busy } from './button.js';

export function failure(error, retry, title = 'This could not be loaded', level = 'h2') {
  const again = retry && button('Try again', { icon: 'retry' });
  again?.addEventListener('click', () => busy(again, 'Trying…', retry));
  return h('div', { class: 'empty', role: 'alert' }, icon('warn'), h(level, { tabindex: level === 'h1' ? '-1' : null }, title), h('p', null, error.message), again && h('div', { class: 'actions' }, again));
}

/** The page for an address the signed-in account may not use. */
export function noAccess(whom) {
  return h('div', { class: 'empty' }, icon('lock'), h('h1', { tabindex: '-1' }, 'You do not have access to this'),
    h('p', null, whom ? `Ask ${whom}, the owner of this account, if you need it.` : 'Ask the owner of this server if you need it.'),
    h('div', { class: 'actions' }, h('a', { class: 'button', href: '#/' }, 'Go to the start')));
}
