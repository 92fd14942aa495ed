// How Windows packages are offered: who may come, what is hidden, terms of use, limits. Each group is saved alone.
import { h } from '../dom.js';
import { bytes, percent } from '../format.js';
import { badge } from '../parts/badge.js';
import { check, field, form } from '../parts/field.js';
import { card, facts, pageHead } from '../parts/page.js';
import { copyButton } from '../parts/digest.js';
import { editSettings, settings } from '../data/winget.js';

export const title = 'Settings of Windows packages';
const GIB = 1024 ** 3;

export async function render(ctx) {
  ctx.crumbs([['Windows packages', '#/windows'], ['Settings']]);
  const known = await settings(ctx.signal);
  const group = (name, words, fields, turn = (values) => values) => card(name, {}, h('p', { class: 'hint' }, words), form({ fields, submit: 'Save', look: '', done: 'Saved', onsubmit: async (values) => editSettings(turn(values)) }));
  const on = (key) => known[key] === '1';
  const number = (text) => /^\d+(\.\d+)?$/.test(text.trim()) ? null : 'A number, 0 or more.';
  return h('div', { class: 'page' }, pageHead({ title }),
    h('div', { class: 'grid grid-2' },
      group('Who may install', 'Without signing in, whoever reaches this server may install everything that is not hidden.', [
        check({ label: 'Clients must sign in', name: 'CLIENT_AUTHENTICATION', checked: on('CLIENT_AUTHENTICATION'), hint: 'Each machine sends the token of its entry under Clients.' }),
        field({ label: 'Only from these addresses', name: 'IP_RESTRICTION', value: known.IP_RESTRICTION === 'DEFAULT' ? '' : known.IP_RESTRICTION, hint: 'Addresses, ranges (a - b) or networks (10.0.0.0/8), with commas between. Empty: from everywhere.' }),
      ], (values) => ({ ...values, IP_RESTRICTION: values.IP_RESTRICTION.trim() || 'DEFAULT' })),
      group('Hidden packages', 'These ids are hidden from every client and from whoever comes without signing in.', [field({ label: 'Package ids', name: 'PACKAGE_BLACKLIST', type: 'textarea', value: (known.PACKAGE_BLACKLIST ?? '').split(/[,;]\s*/).join(', '), hint: 'With commas between.' })]),
      group('Terms of use', 'winget asks its user to agree before it uses this source, and again whenever they change.', [
        check({ label: 'Ask for agreement', name: 'TOS', checked: on('TOS') }), field({ label: 'Text', name: 'TOS_TEXT', type: 'textarea', value: known.TOS_TEXT }), field({ label: 'Address', name: 'TOS_URL', type: 'url', value: known.TOS_URL }),
      ]),
      group('Names and client program', 'What the Winget-Repo Client is told.', [field({ label: 'Name of this server', name: 'SERVERNAME', value: known.SERVERNAME }), field({ label: 'Newest version of the client program', name: 'CLIENT_LATEST_VERSION', value: known.CLIENT_LATEST_VERSION })]),
      group('Uploads', 'Uploads that nobody finishes or uses are removed after this time.', [field({ label: 'Hours', name: 'UPLOAD_TTL_HOURS', type: 'number', min: '1', value: known.UPLOAD_TTL_HOURS, required: true, validate: number })]),
      ctx.user.operator && group('Limits', 'Zero is no limit.', [
        field({ label: 'Most clients', name: 'MAX_CLIENTS', type: 'number', min: '0', value: known.MAX_CLIENTS, required: true, validate: number }),
        field({ label: 'Storage in GiB', name: 'STORAGE_QUOTA', type: 'number', min: '0', step: 'any', value: String(Math.round((Number(known.STORAGE_QUOTA) / GIB) * 1000) / 1000), required: true, validate: number }),
      ], (values) => ({ ...values, STORAGE_QUOTA: String(Math.round(Number(values.STORAGE_QUOTA) * GIB)) })),
      card('In use', {}, facts([
        ['Stored', `${bytes(Number(known.STORAGE_USED))}${Number(known.STORAGE_QUOTA) > 0 ? ` (${percent(Number(known.STORAGE_USED), Number(known.STORAGE_QUOTA))} of the quota)` : ''}`], ['Reserved for uploads', bytes(Number(known.STORAGE_RESERVED))],
        ['Tenant', h('span', { class: 'row' }, h('code', { class: 'wrap' }, known.TENANT_ID), copyButton(known.TENANT_ID, 'tenant'))], ['Clients', on('CLIENT_AUTHENTICATION') ? badge('Must sign in', 'ok') : badge('Open to everybody', 'warn')],
      ]))));
}
