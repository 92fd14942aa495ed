// Badges and the marks of file kinds: colour and word together.
//   badge('Published', 'ok')    tones: '', ok, warn, bad, info, accent     kind('deb', 'small')
import { h, icon } from '../dom.js';

const PICTURE = { ok: 'check', warn: 'warn', bad: 'warn' };

export function badge(text, tone = '', { plain = false, title } = {}) {
  return h('span', { class: ['badge', tone && `badge-${tone}`], title }, !plain && PICTURE[tone] && icon(PICTURE[tone]), text);
}

const KINDS = { deb: 'gearbox', rpm: 'gearbox', msi: 'windows', exe: 'windows', msix: 'windows', zip: 'archive', refpack: 'book', file: 'file' };

/** The mark of a kind of file: a picture with its word. */
export function kind(word, size = '') {
  return h('span', { class: ['kind', size && `kind-${size}`], title: `Kind: ${word}` }, icon(KINDS[word] ?? 'file'), h('span', null, word));
}

const STATES = { queued: ['Waiting', 'info'], running: ['Running', 'accent'], done: ['Done', 'ok'], failed: ['Failed', 'bad'], cancelled: ['Cancelled', ''] };

/** Where a job stands. */
export function jobState(state) {
  const [text, tone] = STATES[state] ?? [state, ''];
  return badge(text, tone);
}
