// The fields of an upstream's definition, and what they mean on the wire.
import { h } from '../dom.js';
import { check, field } from './field.js';

export function upstreamFields(now = {}) {
  const key = field({ label: 'Signing key', name: 'key', type: 'textarea', wide: true, placeholder: '-----BEGIN PGP PUBLIC KEY BLOCK-----', hint: now.has_key ? 'A key is set. Empty: it stays.' : 'The public key of the source. With it, unsigned or wrongly signed lists are refused.' });
  const every = field({ label: 'Sync again', name: 'interval', type: 'select', options: [...(now.path && now.interval === undefined ? [['', 'As it is']] : []), ['0', 'Only when asked'], ['3600', 'Every hour'], ['86400', 'Every day'], ['604800', 'Every week']], value: String(now.interval ?? (now.path ? '' : 0)) });
  const policy = field({ label: 'Fetch packages', name: 'policy', type: 'select', options: [['immediate', 'Now, with each sync'], ['on_demand', 'At first use']], value: now.policy ?? 'immediate', hint: 'At first use: the list is copied now, each package when somebody asks for it; then it stays.' });
  const more = h('details', { class: 'disclosure' }, h('summary', null, 'More'));
  const inner = [
    field({ label: 'Architectures', name: 'arch', hint: 'Only these, with commas between. Empty: all.' }),
    field({ label: 'Name for signing in there', name: 'username', autocomplete: 'off' }), field({ label: 'Password', name: 'password', type: 'password', autocomplete: 'new-password' }),
    check({ label: 'Take expired lists', name: 'allow_expired', hint: 'For archived suites and copies that are offline for long.' }),
  ];
  more.append(h('div', { class: 'stack' }, inner));
  more.fields = inner;
  const path = field({ label: 'Source', name: 'path', required: true, wide: true, value: now.path ?? '', hint: h('span', null, 'An address or a directory of this machine. apt: ', h('code', null, 'http://deb.example.org/debian bookworm main arch=amd64'), '; yum: the directory that holds repodata; directory: the address of a listing.') });
  const node = h('div', { class: 'stack' }, path, key, policy, every, more);
  node.fields = [path, key, policy, every, more];
  return node;
}

export function upstreamValues(values) {
  const list = values.arch?.split(/[,\s]+/).filter(Boolean) ?? [];
  return {
    path: values.path.trim(), policy: values.policy, ...(values.interval === '' ? {} : { interval: Number(values.interval) }),
    ...(values.key?.trim() ? { key: values.key.trim() } : {}), ...(list.length ? { arch: list } : {}), ...(values.allow_expired ? { allow_expired: true } : {}),
    ...(values.username ? { username: values.username, password: values.password } : {}),
  };
}
