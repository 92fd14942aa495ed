// A few words beside a thing: notice('warn', 'This repository is not signed.', more). Tones: info, ok, warn, bad.
import { h, icon } from '../dom.js';

export function notice(tone, ...words) {
  return h('div', { class: ['notice', tone !== 'info' && `notice-${tone}`], role: tone === 'bad' ? 'alert' : null },
    icon(tone === 'info' ? 'info' : tone === 'ok' ? 'check' : 'warn'), h('div', { class: 'stack stack-tight' }, words.filter(Boolean).map((one) => (typeof one === 'string' ? h('p', null, one) : one))));
}
