// “What would a client be told?”: asks the open update check as an installed program would, and says the answer in words.
import { h, replace } from '../dom.js';
import { api } from '../api.js';
import { base } from '../state.js';
import { field, form } from './field.js';
import { card } from './page.js';
import { snippet } from './snippet.js';
import { updateCheck } from '../snippets.js';

export function tester(one, lists, user) {
  const first = one.Artifacts[0] ?? {};
  const pick = (label, kind, value) => lists[kind].length > 0 && field({ label, name: kind, type: 'select', options: lists[kind].map((axis) => axis.name), value: value || lists[kind][0].name });
  const version = field({ label: 'It has version', name: 'version', required: true, value: before(one.Version) });
  const box = h('div', { 'aria-live': 'polite' });
  const fields = [version, pick('Platform', 'platform', first.Platform), pick('Architecture', 'arch', first.Arch)].filter(Boolean);
  return card('What would a client be told?', {},
    form({
      fields, submit: 'Ask', busy: 'Asking…', look: '',
      onsubmit: async (values) => {
        // The answer to programs that do everything themselves; frameworks are sent to their feeds instead.
        const ask = { app: one.AppName, channel: one.Channel, owner: user.owner, updater: lists.platform.length ? 'manual' : undefined, ...values };
        const answer = await api.get('/checkVersion', { query: { app_name: ask.app, version: ask.version, channel: ask.channel, platform: ask.platform, arch: ask.arch, owner: ask.owner, updater: ask.updater }, quiet: true });
        replace(box, told(answer, values.version), h('details', { class: 'disclosure small' }, h('summary', null, 'The answer, word for word'), h('div', { class: 'stack' }, snippet({ label: 'Answer', text: JSON.stringify(answer, null, 2) }), snippet(updateCheck(base(), ask)))));
      },
    }), box);
}

/** A version below, so that the first question is the usual one. */
function before(version) {
  const parts = version.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : 0));
  for (let at = parts.length - 1; at >= 0; at -= 1) {
    if (parts[at] > 0) {
      parts[at] -= 1;
      return parts.join('.');
    }
  }
  return '0.0.0';
}

export function told(answer, version) {
  const line = (tone, title, ...more) => h('div', { class: `told told-${tone}` }, h('strong', null, title), more.filter(Boolean).map((words) => h('p', { class: 'small' }, words)));
  if (!answer || answer.error) return line('bad', 'Nothing to offer', 'No published release has a file for this combination.');
  const files = Object.keys(answer).filter((key) => key.startsWith('update_url')).map((key) => key.replace('update_url_', '.').replace('update_url', 'a file'));
  const offer = files.length > 0 && `Offered: ${files.join(', ')}.`;
  if (answer.update_available) {
    return line(answer.critical ? 'warn' : 'ok', answer.critical ? 'Update available, and it must not be put off' : 'Update available', answer.is_intermediate_required && 'It is a required step on the way to the newest release.', answer.rollout && `Only ${answer.rollout.percent} % of devices are in the rollout; the device decides by the seed.`, offer);
  }
  if (answer.possible_rollback) return line('warn', `${version} is newer than anything published`, 'The client may offer to go back.', offer);
  return line('ok', 'Up to date', offer);
}
