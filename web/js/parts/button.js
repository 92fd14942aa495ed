// Buttons and links that look like them.
//
//   button('Save', { look: 'primary', icon: 'check', onclick })    looks: '' (plain), primary, danger, quiet, icon, small
//   linkButton('Open', '#/apps')
//   await busy(node, 'Saving…', () => api.post(…))                 keeps width and focus, says what happens
import { h, icon, replace } from '../dom.js';

function looks(look, more) {
  return ['button', ...String(look ?? '').split(' ').filter(Boolean).map((one) => `button-${one}`), more];
}

export function button(label, { look, icon: picture, class: more, onclick, ...props } = {}) {
  const only = String(look ?? '').split(' ').includes('icon');
  return h('button', { type: 'button', class: looks(look, more), 'aria-label': only ? label : null, title: only ? label : null, onclick: onclick && once(onclick), ...props },
    picture && icon(picture), !only && label);
}

export function linkButton(label, href, { look, icon: picture, class: more, ...props } = {}) {
  return h('a', { href, class: looks(look, more), ...props }, picture && icon(picture), label);
}

/** A handler that is not run again before it has ended: a second press opens no second drawer. */
function once(work) {
  let running = false;
  return async (event) => {
    if (running) return;
    running = true;
    try {
      await work(event);
    } finally {
      running = false;
    }
  };
}

/** Runs `work` while the button says `words`; a second press meanwhile does nothing. Answers what `work` answers. */
export async function busy(node, words, work) {
  if (node.dataset.busy !== undefined) return undefined;
  const before = [...node.childNodes];
  node.style.minInlineSize = `${node.offsetWidth}px`;
  node.dataset.busy = '';
  node.setAttribute('aria-disabled', 'true');
  replace(node, words);
  try {
    return await work();
  } finally {
    delete node.dataset.busy;
    node.removeAttribute('aria-disabled');
    node.style.removeProperty('min-inline-size');
    node.replaceChildren(...before);
  }
}
