// An uploaded installer becomes a version of a Windows package: a form filled in with what the installer says itself.
import { api } from '../api.js';
import { h } from '../dom.js';
import { state } from '../state.js';
import { link } from '../router.js';
import { announce } from './toast.js';
import { drawer } from './drawer.js';
import { field, form, side } from './field.js';
import { notice } from './notice.js';
import { chunked, told } from '../upload.js';
import { ARCHS, LOCALES, TYPES } from '../data/winget.js';

const tenant = () => `/cloud/client/api/${encodeURIComponent(state.user.tenant)}`;
const plain = (text) => text.replace(/[^\p{L}\p{N}]+/gu, '');

/** Sends the file by the chunked route and asks what it says of itself. */
export async function sendInstaller(task, progress) {
  const stored = await chunked(task, progress);
  const facts = await api.get(`${tenant()}/installer_facts`, { query: { server_filename: stored.server_filename }, signal: task.abort.signal });
  return { ...stored, facts };
}

function form_(values) {
  const body = new FormData();
  for (const [key, value] of Object.entries(values)) if (value !== undefined && value !== null && value !== '') body.set(key, value);
  return body;
}

/** Asks for what is missing and adds the version; the task then tells where it is. */
export async function describeInstaller(task) {
  const { facts, server_filename: stored } = task.result;
  const added = await describe({ facts, guessed: task.guessed, kind: task.kind, bytes: { server_filename: stored } });
  if (!added) return;
  task.described = true;
  task.words = `is ${added.id} ${added.version}`;
  task.href = link('/windows/:id', { id: added.id });
  told();
}

/** What the catalog knows of an artifact, in the words of the form. */
export function factsOf({ facts }) {
  const inside = facts.installer ?? {};
  const known = (value, list) => list.find((one) => one.toLowerCase() === String(value ?? '').toLowerCase());
  const nested = (inside.nested ?? []).map((one) => ({ path: one.path, type: one.installer_type }));
  return {
    package_name: facts.name, package_version: facts.version, package_publisher: inside.publisher, file_architect: known(facts.arch, ARCHS), file_type: known(inside.installer_type, TYPES), file_scope: inside.scope ?? undefined,
    package_locale: known(inside.locale, LOCALES), productcode: inside.product_code, upgradecode: inside.upgrade_code, package_family_name: inside.package_family_name,
    file_type_nested: known(nested[0]?.type, TYPES), file_nested_path: nested[0]?.path, nested,
  };
}

/** The form for a new version of a Windows package; `bytes` says where the installer is. Answers `{id, version}` once it is added. */
export async function describe({ facts, guessed, kind, bytes }) {
  const packages = await api.post(`${tenant()}/get_packages`, new FormData(), { query: { include_disabled: true } });
  return drawer({ title: 'Windows package', body: (close) => {
    const publisher = field({ label: 'Publisher', name: 'publisher', required: true, value: facts.package_publisher ?? '', hint: 'Who made it, as people know them.' });
    const name = field({ label: 'Name', name: 'name', required: true, value: facts.package_name ?? guessed.name });
    const known = packages.find((one) => one.PACKAGE_NAME === name.value && (!publisher.value || one.PACKAGE_PUBLISHER === publisher.value));
    const id = field({ label: 'Package id', name: 'id', required: true, value: known?.PACKAGE_ID ?? '', list: 'installer-packages', hint: 'What people type after winget install --id. A known id gets one version more.' });
    if (known && !publisher.value) publisher.value = known.PACKAGE_PUBLISHER;
    let touched = Boolean(known);
    id.input.addEventListener('input', () => { touched = true; });
    const propose = () => { if (!touched) id.value = [plain(publisher.value), plain(name.value)].filter(Boolean).join('.'); };
    for (const one of [publisher, name]) one.input.addEventListener('input', propose);
    propose();
    const version = field({ label: 'Version', name: 'version', required: true, value: facts.package_version ?? guessed.version });
    const arch = field({ label: 'Architecture', name: 'arch', type: 'select', value: facts.file_architect ?? ({ amd64: 'x64', arm64: 'arm64', 386: 'x86' }[guessed.arch] ?? 'x64'), options: ['x64', 'x86', 'arm64', 'arm'] });
    const scope = field({ label: 'Installs for', name: 'scope', type: 'select', value: facts.file_scope ?? 'machine', options: [['machine', 'the whole machine'], ['user', 'one user']] });
    const type = field({ label: 'Kind of installer', name: 'type', type: 'select', value: facts.file_type ?? ({ msi: 'MSI', msix: 'MSIX', zip: 'ZIP' }[kind] ?? 'EXE'), options: ['EXE', 'MSI', 'MSIX', 'APPX', 'ZIP', 'INNO', 'NULLSOFT', 'WIX', 'BURN'] });
    const zip = kind === 'zip';
    const nested = zip && field({ label: 'Installer inside the archive', name: 'nested', required: true, value: facts.file_nested_path ?? '', hint: 'Its path in the archive.', list: 'installer-nested' });
    const nestedType = zip && field({ label: 'Its kind', name: 'nestedType', type: 'select', value: facts.file_type_nested ?? 'EXE', options: ['EXE', 'MSI', 'MSIX', 'APPX', 'INNO', 'NULLSOFT', 'WIX', 'BURN'] });
    return h('div', { class: 'stack' },
      facts.package_name ? notice('ok', 'Filled in with what the installer says of itself.') : notice('info', 'This installer says little of itself; its file name filled in the rest.'),
      h('datalist', { id: 'installer-packages' }, packages.slice(0, 500).map((one) => h('option', { value: one.PACKAGE_ID }, one.PACKAGE_NAME))),
      h('datalist', { id: 'installer-nested' }, (facts.nested ?? []).slice(0, 200).map((one) => h('option', { value: one.path }))),
      form({
        fields: [publisher, name, id, side(version, arch), side(scope, type), zip && side(nested, nestedType)], submit: 'Add to Windows packages', busy: 'Adding…', cancel: () => close(),
        onsubmit: async (values) => {
          if (!packages.some((one) => one.PACKAGE_ID.toLowerCase() === values.id.toLowerCase())) {
            const body = form_({ package_id: values.id, package_name: values.name, package_publisher: values.publisher });
            body.set('package_description', '');
            await api.post(`${tenant()}/add_package`, body);
            packages.push({ PACKAGE_ID: values.id });
          }
          await api.post(`${tenant()}/add_package_version/${encodeURIComponent(values.id)}`, form_({
            ...bytes, package_version: values.version, file_architect: values.arch, file_type: values.type, file_scope: values.scope, package_locale: facts.package_locale,
            productcode: facts.productcode, upgradecode: facts.upgradecode, package_family_name: facts.package_family_name, file_type_nested: values.nestedType, file_nested_path: values.nested,
          }));
          announce(`${values.id} ${values.version} is there`);
          close({ id: values.id, version: values.version });
        },
      }));
  } });
}
