// The Windows packages' management API: forms in, JSON out, below this owner's tenant.
import { api } from '../api.js';
import { state } from '../state.js';

export const ARCHS = ['x64', 'x86', 'arm', 'arm64'];
export const TYPES = ['EXE', 'MSI', 'MSIX', 'APPX', 'ZIP', 'INNO', 'NULLSOFT', 'WIX', 'BURN'];
export const SCOPES = [['machine', 'The whole machine'], ['user', 'One user']];
export const LOCALES = ['en-US', 'de-DE', 'de-AT', 'de-CH', 'en-GB', 'en-CA', 'en-AU', 'fr-FR', 'fr-CA', 'fr-BE', 'es-ES', 'es-MX', 'it-IT', 'it-CH', 'pt-PT', 'pt-BR', 'ja-JP', 'ko_KR', 'zh_CN', 'zh_TW'];
export const SWITCHES = [['switch_Silent', 'Silent'], ['switch_SilentWithProgress', 'Silent with progress'], ['switch_Interactive', 'Interactive'], ['switch_InstallLocation', 'Install location'], ['switch_Log', 'Log'], ['switch_Upgrade', 'Upgrade'], ['switch_Custom', 'Custom'], ['switch_Repair', 'Repair']];

export function at(path) {
  return `/cloud/client/api/${encodeURIComponent(state.user.tenant)}/${path}`;
}

/** Values as a form; lists give one pair each, undefined and null are left out, empty text is sent. */
export function body(values) {
  const form = new FormData();
  for (const [name, value] of Object.entries(values)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one === undefined || one === null) continue;
      if (one instanceof Blob) form.append(name, one, one.name);
      else form.append(name, typeof one === 'boolean' ? Number(one) : one);
    }
  }
  return form;
}

/** The dialect answers 401 for an id that is taken; that must not end the session. */
const KEEP = { quiet: true };

export const packages = async (signal) => api.post(at('get_packages'), body({}), { query: { include_disabled: true }, signal });
export const addPackage = (values) => api.post(at('add_package'), body(values), KEEP);
export const editPackage = (id, values) => api.patch(at(`edit_package/${encodeURIComponent(id)}`), body(values));
export const deletePackage = (id) => api.del(at(`delete_package/${encodeURIComponent(id)}`));
export const versions = (id, signal) => api.get(at(`get_package_versions/${encodeURIComponent(id)}`), { signal });
export const addVersion = (id, values) => api.post(at(`add_package_version/${encodeURIComponent(id)}`), body(values));
export const deleteVersions = (id, uids) => api.del(at(`delete_package_version/${encodeURIComponent(id)}`), { body: body({ versions_uids: uids }) });
export const clients = (signal) => api.get(at('get_clients'), { signal });
export const settings = (signal) => api.get(at('get_settings'), { signal });
export const groups = (signal) => api.get(at('get_blacklist_groups'), { signal });
export const addGroup = (values) => api.post(at('add_blacklist_group'), body(values));
export const editGroup = (id, values) => api.put(at(`edit_blacklist_group/${encodeURIComponent(id)}`), body(values));
export const deleteGroup = (id) => api.del(at(`delete_blacklist_group/${encodeURIComponent(id)}`));
export const editSettings = (values) => api.patch(at('edit_settings'), body(values));

export async function packageOf(id, signal) {
  const found = (await packages(signal)).find((one) => one.PACKAGE_ID.toLowerCase() === id.toLowerCase());
  if (found) return found;
  throw Object.assign(new Error(`There is no package ${id}.`), { status: 404 });
}

/** Why a file of this size has no room, or null. The dialect's own answer (407) never reaches a page: browsers keep it. */
export function noRoom(known, size) {
  const quota = Number(known.STORAGE_QUOTA);
  const used = Number(known.STORAGE_USED) + Number(known.STORAGE_RESERVED);
  return quota > 0 && used + size > quota ? 'The storage quota for Windows packages is used up. Delete versions, or let the owner of this server raise it.' : null;
}

/** What an installer says of itself (`told`), with what its file name says where it is silent. */
export function filled(told, fileName) {
  const extension = /\.([a-z0-9]+)$/i.exec(fileName)?.[1]?.toUpperCase() ?? '';
  const type = { MSIXBUNDLE: 'MSIX', APPXBUNDLE: 'APPX' }[extension] ?? (TYPES.includes(extension) ? extension : 'EXE');
  const arch = /arm64|aarch64/i.test(fileName) ? 'arm64' : /(^|[^0-9])(x86|win32|ia32|i[36]86)(?![_-]?64)/i.test(fileName) ? 'x86' : 'x64';
  const spoken = LOCALES.find((one) => one.replace('_', '-').toLowerCase() === (told?.package_locale ?? '').replace('_', '-').toLowerCase());
  return {
    package_version: told?.package_version ?? '', file_architect: ARCHS.includes(told?.file_architect) ? told.file_architect : arch, file_type: told?.file_type ?? type, file_scope: told?.file_scope ?? 'machine', package_locale: spoken ?? 'en-US',
    productcode: told?.productcode ?? '', upgradecode: told?.upgradecode ?? '', package_family_name: told?.package_family_name ?? '', file_type_nested: told?.file_type_nested ?? '', file_nested_path: told?.file_nested_path ?? '', nested: told?.nested ?? [],
  };
}
