// What the app-update dialect answers, in the shapes the pages use; and what a file's name says of it. No elements here.
import { api } from '../api.js';

/** The three lists a release is sorted by: kind, words, key of the list and of the name in it. */
export const AXES = [
  { kind: 'channel', one: 'channel', many: 'Channels', list: 'channels', key: 'ChannelName', rights: 'channels', example: 'stable' },
  { kind: 'platform', one: 'platform', many: 'Platforms', list: 'platforms', key: 'PlatformName', rights: 'platforms', example: 'windows' },
  { kind: 'arch', one: 'architecture', many: 'Architectures', list: 'archs', key: 'ArchID', rights: 'archs', example: 'amd64' },
];

/** How installed programs ask: the value on the wire, and what it is for. */
export const UPDATERS = [
  ['manual', 'Plain JSON', 'The program asks and downloads by itself.'],
  ['electron-builder', 'electron-builder', 'Electron apps with electron-updater; needs the .yml beside the files.'],
  ['squirrel_windows', 'Squirrel.Windows', 'Needs the RELEASES file and .nupkg packages.'],
  ['squirrel_darwin', 'Squirrel.Mac', 'Needs a .zip of the app.'],
  ['sparkle', 'Sparkle, WinSparkle', 'An appcast is made from the releases.'],
  ['tauri', 'Tauri', 'Every upload needs its signature.'],
  ['velopack', 'Velopack', 'Needs releases.CHANNEL.json and a full .nupkg.'],
];

export async function apps(signal) {
  return (await api.get('/app/list', { signal })).apps;
}

/** An app by its name; a missing one is an error the page shows as such. */
export async function appNamed(name, signal) {
  const found = (await apps(signal)).find((app) => app.AppName === name);
  if (found) return found;
  throw Object.assign(new Error(`There is no app named “${name}”, or you have no access to it.`), { status: 404 });
}

/** Channels, platforms and architectures: {channel: [{id, name, updaters}], platform: […], arch: […]}. */
export async function axes(signal) {
  const lists = await Promise.all(AXES.map(({ kind }) => api.get(`/${kind}/list`, { signal })));
  return Object.fromEntries(AXES.map((axis, at) => [axis.kind, lists[at][axis.list].map((one) => ({ id: one.ID, name: one[axis.key], updated: one.Updated_at, updaters: one.Updaters ?? [] }))]));
}

/** One page of an app's releases: {rows, total, next}. */
export async function releases(app, { page = 1, limit = 50, ...filters } = {}, signal) {
  const found = await api.get('/search', { query: { app_name: app, page, limit, ...filters }, signal });
  return { rows: found.apps, total: found.total, next: page * limit < found.total ? page + 1 : null };
}

/** A release by its channel and version; `-` in an address stands for no channel. */
export async function release(app, channel, version, signal) {
  const wanted = channel === '-' ? '' : channel;
  for (let page = 1; page !== null;) {
    const found = await releases(app, { page, limit: 1000, channel: wanted }, signal);
    const one = found.rows.find((row) => row.Version === version && row.Channel === wanted);
    if (one) return one;
    page = found.next;
  }
  throw Object.assign(new Error(`${app} has no version ${version} in ${wanted || 'no channel'}.`), { status: 404 });
}

/** A form with its JSON part and files. */
export function multipart(data, files = []) {
  const form = new FormData();
  form.append('data', JSON.stringify(data));
  for (const file of files) form.append('file', file, file.name);
  return form;
}

/** Changes flags or the changelog of a release. */
export function change(one, values) {
  return api.post('/apps/update', multipart({ id: one.ID, app_name: one.AppName, version: one.Version, ...values }));
}

/** The path of a link of this server: the same file, asked for where this page came from. */
export function local(address) {
  if (!address) return null;
  try {
    const url = new URL(address, 'http://here.invalid');
    return url.pathname + url.search;
  } catch {
    return null;
  }
}

/** Whether `user` may do `verb` with things of a kind; team users only with those in their list. */
export function may(user, kind, verb, id) {
  if (user.role === 'owner') return true;
  const rights = user.permissions?.[kind];
  return Boolean(rights?.[verb]) && (id === undefined || (rights.allowed ?? []).includes(id));
}

const WORDS = {
  platform: [
    [/win(dows)?|win32|win64|msvc|nupkg/, ['windows', 'win', 'win32', 'win64']],
    [/mac(os)?|osx|darwin|apple/, ['macos', 'mac', 'darwin', 'osx']],
    [/linux|ubuntu|debian|fedora|appimage|gnu/, ['linux']],
    [/android/, ['android']],
  ],
  arch: [
    [/arm64|aarch64/, ['arm64', 'aarch64']],
    [/x86[_-]?64|amd64|x64|win64/, ['amd64', 'x86_64', 'x64']],
    [/i[36]86|x86|ia32|win32/, ['x86', 'i386', 'i686', 'ia32']],
    [/armv?7|armhf/, ['armv7', 'armhf', 'arm']],
    [/universal/, ['universal']],
  ],
};

const BY_EXTENSION = [
  [/\.(exe|msi|msix|appx|nupkg|msixbundle)$/, ['windows', 'win', 'win32', 'win64']],
  [/\.(dmg|pkg)$/, ['macos', 'mac', 'darwin', 'osx']],
  [/\.(deb|rpm|appimage|snap|flatpak)$/, ['linux']],
  [/\.(apk|aab)$/, ['android']],
];

function pick(names, wanted) {
  for (const word of wanted) {
    const found = names.find((name) => name.toLowerCase() === word);
    if (found) return found;
  }
  return '';
}

/** What a file's name says: {platform, arch, version}, from the names that exist here; '' when it says nothing. */
export function recognise(file, platforms, archs) {
  const text = file.toLowerCase();
  const words = text.split(/[^a-z0-9_]+/);
  // A name of this server's own lists, as a whole word, says it best.
  const own = (names) => [...names].sort((a, b) => b.length - a.length).find((name) => words.includes(name.toLowerCase()) || text.includes(`-${name.toLowerCase()}`) || text.includes(`_${name.toLowerCase()}`));
  const known = (axis, names) => {
    for (const [pattern, wanted] of WORDS[axis]) {
      if (words.some((word) => word.replace(/_/g, '-').split('-').some((part) => new RegExp(`^(?:${pattern.source})$`).test(part)) || new RegExp(`^(?:${pattern.source})$`).test(word))) {
        const found = pick(names, wanted);
        if (found) return found;
      }
    }
    return '';
  };
  let platform = known('platform', platforms) || own(platforms) || '';
  if (!platform) for (const [pattern, wanted] of BY_EXTENSION) if (pattern.test(text)) platform = pick(platforms, wanted);
  const arch = known('arch', archs) || own(archs) || '';
  return {
    platform: platform || (platforms.length === 1 ? platforms[0] : ''),
    arch: arch || (archs.length === 1 ? archs[0] : ''),
    version: /(?:^|[^0-9.])v?(\d+\.\d+(?:\.\d+){0,3})(?![0-9.]*\d)/.exec(file)?.[1] ?? '',
  };
}

/** Whether a text is a version this dialect takes. */
export function isVersion(text) {
  return /^\d{1,18}([.-]\d{1,18}){0,5}$/.test(text) || /^\d{1,18}\.\d{1,18}\.\d{1,18}(-[0-9A-Za-z.-]+)?$/.test(text);
}
