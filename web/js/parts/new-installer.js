// The drawer that adds an installer to a Windows package: the file first (in pieces, going on after a break), then what
// it says of itself in fields to correct.
import { h, replace } from '../dom.js';
import { api } from '../api.js';
import { bytes } from '../format.js';
import { chunked } from '../upload.js';
import { button } from './button.js';
import { drawer } from './drawer.js';
import { dropzone } from './dropzone.js';
import { field, form, side } from './field.js';
import { progress } from './progress.js';
import { ARCHS, LOCALES, SCOPES, SWITCHES, TYPES, addVersion, at, filled, noRoom, settings } from '../data/winget.js';

export function addInstaller(id) {
  const abort = new AbortController();
  return drawer({ title: `New installer for ${id}`, wide: true, body: (close) => {
    const box = h('div', { class: 'stack' });
    const start = (problem) => replace(box,
      problem && h('div', { class: 'summary', role: 'alert' }, h('p', null, problem)),
      dropzone({ label: 'Drop the installer', hint: 'exe, msi, msix, appx or zip. An upload that broke off goes on when you drop the same file again.', multiple: false, accept: '.exe,.msi,.msix,.msixbundle,.appx,.appxbundle,.zip', onfiles: ([file]) => send(file) }));
    const send = async (file) => {
      const bar = progress(`Uploading ${file.name}`);
      replace(box, bar, h('div', { class: 'actions' }, button('Stop', { icon: 'pause', onclick: () => abort.abort() })));
      bar.at(0, file.size, file.name, bytes(file.size));
      try {
        const full = noRoom(await settings(abort.signal), file.size);
        if (full) return start(full);
        const done = await chunked({ file, abort }, (sent) => bar.at(sent, file.size, file.name, `${bytes(Math.min(sent, file.size))} of ${bytes(file.size)}`));
        const told = await api.get(at('installer_facts'), { query: { server_filename: done.server_filename }, quiet: true }).catch(() => null);
        replace(box, fields(id, file, done, filled(told, file.name), close));
        box.querySelector('input,select')?.focus();
      } catch (error) {
        if (error.name === 'AbortError') close();
        else start(error.message);
      }
      return undefined;
    };
    start();
    return box;
  } });
}

function fields(id, file, done, said, close) {
  const select = (label, name, options, value, hint) => field({ label, name, type: 'select', options, value, hint });
  const nested = h('div', { class: 'stack' });
  const inner = select('Installer inside', 'file_type_nested', TYPES.filter((type) => type !== 'ZIP'), said.file_type_nested || 'EXE');
  const path = field({ label: 'Its path in the archive', name: 'file_nested_path', value: said.file_nested_path, hint: said.nested.length > 1 ? `Found: ${said.nested.slice(0, 6).map((one) => one.path).join(', ')}` : 'As the archive spells it.' });
  const type = select('Type', 'file_type', TYPES, said.file_type);
  const show = () => { nested.hidden = type.value !== 'ZIP'; };
  type.input.addEventListener('change', show);
  nested.append(inner, path);
  nested.fields = [inner, path];
  show();
  const codes = h('details', { class: 'disclosure', open: Boolean(said.productcode || said.package_family_name) }, h('summary', null, 'Codes that tell an installed program'));
  const codeFields = [field({ label: 'Product code', name: 'productcode', value: said.productcode }), field({ label: 'Upgrade code', name: 'upgradecode', value: said.upgradecode }), field({ label: 'Package family name', name: 'package_family_name', value: said.package_family_name })];
  codes.append(h('div', { class: 'stack' }, codeFields));
  codes.fields = codeFields;
  const switches = h('details', { class: 'disclosure' }, h('summary', null, 'Switches for the installer'));
  const switchFields = SWITCHES.map(([name, label]) => field({ label, name }));
  switches.append(h('div', { class: 'stack' }, h('p', { class: 'muted small' }, 'Only where the installer needs others than its type usually takes.'), switchFields));
  switches.fields = switchFields;
  return form({
    fields: [
      h('p', { class: 'muted' }, h('strong', { class: 'wrap' }, file.name), ` ${bytes(file.size)} is here. What it says of itself is filled in.`),
      side(field({ label: 'Version', name: 'package_version', required: true, value: said.package_version }), select('Architecture', 'file_architect', ARCHS, said.file_architect)),
      side(type, select('Installs for', 'file_scope', SCOPES, said.file_scope)), nested,
      side(select('Language', 'package_locale', LOCALES.map((one) => [one, one.replace('_', '-')]), said.package_locale), field({ label: 'Channel', name: 'channel', value: 'stable', required: true, hint: 'Clients see stable; others only by an address of their own.' })),
      select('Over an older version', 'upgrades', [['install', 'Install'], ['uninstallPrevious', 'Uninstall that first'], ['deny', 'Refuse']], 'install'), codes, switches,
    ],
    submit: 'Add installer', cancel: () => close(),
    onsubmit: async (values) => {
      const given = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));
      if (given.file_type !== 'ZIP') {
        delete given.file_type_nested;
        delete given.file_nested_path;
      } else if (!given.file_nested_path) throw Object.assign(new Error('Say where in the archive the installer is.'), { field: 'file_nested_path' });
      await addVersion(id, { ...given, server_filename: done.server_filename }).catch((error) => { throw error.status === 409 ? Object.assign(error, { field: 'package_version', message: 'There is an installer for this version, architecture, type, scope and language already.' }) : error; });
      close(given.package_version);
    },
  });
}
