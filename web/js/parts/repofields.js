// The options of a repository, shown as they fit its type: `repoFields(typeField or 'apt', values, folded)`; `.chosen()` answers
// what goes into the request.
import { h } from '../dom.js';
import { check, field, side } from './field.js';

export function repoFields(type, now = {}, fresh = false) {
  const suite = field({ label: 'Suite', name: 'suite', value: now.suite ?? 'stable', required: true, hint: 'What apt calls the release, like stable or bookworm.' });
  const component = field({ label: 'Component', name: 'component', value: now.component ?? 'main', required: true });
  const archs = field({ label: 'Architectures', name: 'architectures', value: (now.architectures ?? ['amd64', 'arm64']).join(', '), hint: 'With commas between. Packages for all machines belong to each of them.' });
  const valid = field({ label: 'Valid for days', name: 'valid_days', type: 'number', min: '0', value: String(now.valid_days ?? 0), hint: '0: the lists never expire, which is right for machines that are offline for long.', validate: (text) => (/^\d+$/.test(text.trim()) ? null : 'A whole number, 0 or more.') });
  const flat = check({ label: 'Flat', name: 'flat', checked: Boolean(now.flat), hint: 'No suites and components; all lists in one place.' });
  const options = [side(suite, component), archs, valid, flat];
  // What is right for most is not asked of who makes the first one.
  const apt = fresh ? h('details', { class: 'disclosure' }, h('summary', null, 'Suite, component, architectures'), h('div', { class: 'stack' }, options)) : h('div', { class: 'stack' }, options);
  const node = h('div', { class: 'stack' }, apt);
  const kind = () => (typeof type === 'string' ? type : type.value);
  const show = () => { apt.hidden = kind() !== 'apt'; };
  if (typeof type !== 'string') type.input.addEventListener('change', show);
  show();
  node.chosen = () => {
    if (kind() !== 'apt') return {};
    if (!suite.check() || !component.check() || !valid.check()) {
      apt.open = true;
      throw new Error('Some options are not right yet.');
    }
    return { suite: suite.value.trim(), component: component.value.trim(), architectures: archs.value.split(/[,\s]+/).filter(Boolean), valid_days: Number(valid.value), flat: flat.value };
  };
  return node;
}
