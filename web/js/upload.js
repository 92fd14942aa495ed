// Files on their way: what they are, which doors fit them, and sending them with progress, pause and retry.
//
// The list outlives pages: leaving the upload page goes on uploading. `watch(changed)` hears of every change.
// What a door needs is planned by pure functions (`kindOf`, `guess`, `doorsOf`), tested without a browser.
import { api } from './api.js';
import { state } from './state.js';

/** Files chosen and not yet gone to a door: [{id, file, kind, guessed}]. */
export const waiting = [];
/** Files on their way or through: [{id, file, door, words, state, sent, total, rate, problem, href}]. */
export const tasks = [];
const watchers = new Set();
let last = 0;

export function watch(changed) {
  watchers.add(changed);
  return () => watchers.delete(changed);
}

function tell() {
  for (const changed of watchers) changed();
}

/** Takes files in; what they are is known after their first bytes. */
export async function take(files) {
  for (const file of files) {
    last += 1;
    waiting.push({ id: last, file, kind: null, guessed: guess(file.name) });
  }
  tell();
  for (const one of waiting.filter((item) => item.kind === null)) {
    let head = new Uint8Array();
    try {
      head = new Uint8Array(await one.file.slice(0, 96).arrayBuffer());
    } catch {
      // A directory, or a file that is gone: the upload itself will say so.
    }
    one.kind = kindOf(head, one.file.name);
    tell();
  }
}

export function drop(id) {
  const at = waiting.findIndex((one) => one.id === id);
  if (at >= 0) waiting.splice(at, 1);
  tell();
}

const starts = (head, ...bytes) => bytes.every((byte, index) => head[index] === byte);

/** The kind of a file by its first bytes, its name as a hint; the server judges again. */
export function kindOf(head, name) {
  const extension = name.toLowerCase().split('.').pop();
  const text = String.fromCharCode(...head.slice(0, 21));
  if (text.startsWith('!<arch>\ndebian-binary')) return 'deb';
  if (starts(head, 0xed, 0xab, 0xee, 0xdb)) return 'rpm';
  if (starts(head, 0xd0, 0xcf, 0x11, 0xe0)) return 'msi';
  if (starts(head, 0x4d, 0x5a)) return 'exe';
  if (starts(head, 0x50, 0x4b)) {
    if (['msix', 'appx', 'msixbundle', 'appxbundle'].includes(extension)) return 'msix';
    if (extension === 'nupkg') return 'nupkg';
    if (extension === 'refpack' || /\.refpack\.zip$/i.test(name)) return 'refpack';
    return 'zip';
  }
  if (starts(head, 0x1f, 0x8b) && /\.(tgz|tar\.gz)$/i.test(name)) return 'tar';
  return 'file';
}

/** Name, version, platform and architecture as file names of installers carry them. */
export function guess(fileName) {
  const place = /[-_. ](x86_64|amd64|x64|arm64|aarch64|armhf|i[36]86|x86|ia32|win(32|64|dows)?|linux|darwin|macos|mac|noarch|all|any|setup|installer)(?=$|[-_. ])/gi;
  const stem = fileName.replace(/\.(tar\.\w+|[a-z][a-z0-9]{0,10})$/i, '').replace(place, '');
  const version = /(?:^|[-_ v])v?(\d+(?:\.\d+){1,3}(?:[-+~][0-9a-z.]+?)?)(?=$|[-_ .])/i.exec(stem)?.[1] ?? '';
  const at = version ? stem.indexOf(version) : -1;
  const name = (at > 0 ? stem.slice(0, at) : stem).replace(/[-_ v]+$/i, '') || stem;
  const lower = fileName.toLowerCase();
  const arch = /(arm64|aarch64)/.test(lower) ? 'arm64' : /(x86_64|amd64|x64|win64)/.test(lower) ? 'amd64' : /(i[36]86|x86|win32|ia32)/.test(lower) ? '386' : '';
  const platform = /\.(exe|msi|msix|appx|nupkg)$/.test(lower) || /win(dows|32|64)/.test(lower) ? 'windows' : /\.(dmg|pkg)$/.test(lower) || /(darwin|macos|mac[-_.])/.test(lower) ? 'darwin' : /\.(deb|rpm|appimage|snap|flatpak)$/.test(lower) || /linux/.test(lower) ? 'linux' : '';
  return { name, version, arch, platform };
}

/**
 * The doors for files of these kinds, the fitting ones first. `available` says what this server has:
 * {repos: [{name, type}], products: [names], apps: [names], winget: bool}.
 */
export function doorsOf(kinds, available) {
  const all = (...wanted) => kinds.length > 0 && kinds.every((kind) => wanted.includes(kind));
  const doors = [];
  const repos = (type) => (available.repos ?? []).filter((repo) => repo.type === type);
  const repo = (type, words) => repos(type).length && doors.push({ id: `repo-${type}`, label: words, repos: repos(type) });
  if (all('deb')) repo('apt', 'apt repository');
  if (all('rpm')) repo('yum', 'yum repository');
  if (all('refpack', 'zip')) doors.push({ id: 'refpack', label: 'RefPack registry' });
  if (all('msi', 'msix', 'exe', 'zip') && available.winget && kinds.length === 1) doors.push({ id: 'winget', label: 'Windows package' });
  if ((available.apps ?? []).length && !all('refpack')) doors.push({ id: 'app', label: 'App release' });
  if (kinds.length === 1) doors.push({ id: 'product', label: 'Product version' });
  repo('dir', 'Directory repository');
  if (available.repos) doors.push({ id: 'package', label: 'Keep in the catalog, decide later' });
  if (all('zip') && doors[0]?.id === 'refpack') doors.push(doors.shift());
  return doors;
}

/** Says that a task has changed outside of this module. */
export function told() {
  tell();
}

/**
 * Sends files to a door: `work(task)` does one; `words` says where it goes; `href` is where the result is looked at;
 * `describe(task)` asks for what is still to be said once the bytes are there; `next` is [words, address] of what one
 * does then.
 */
export function send(items, { words, href, work, pausable = false, describe = null, next = null }) {
  const made = items.map((item) => {
    const task = { ...item, words, href, work, pausable, describe, next, state: 'queued', sent: 0, total: item.file.size, problem: '', rate: 0, at: 0 };
    tasks.push(task);
    drop(item.id);
    return task;
  });
  pump();
  return made;
}

export function pause(task) {
  task.state = 'paused';
  task.abort?.abort();
  tell();
}

export function cancel(task) {
  task.state = 'cancelled';
  task.abort?.abort();
  tasks.splice(tasks.indexOf(task), 1);
  tell();
  pump();
}

export function again(task) {
  task.state = 'queued';
  task.problem = '';
  tell();
  pump();
}

export function busy() {
  return tasks.some((task) => task.state === 'sending' || task.state === 'queued' || task.state === 'paused');
}

/** Two at a time: enough to fill a line, and answers stay quick. */
function pump() {
  const free = 2 - tasks.filter((task) => task.state === 'sending').length;
  for (const task of tasks.filter((one) => one.state === 'queued').slice(0, Math.max(0, free))) run(task);
  tell();
}

async function run(task) {
  task.state = 'sending';
  task.abort = new AbortController();
  task.began = performance.now();
  task.base = task.sent;
  tell();
  try {
    task.result = await task.work(task, (sent) => {
      task.sent = Math.min(sent, task.total);
      const seconds = (performance.now() - task.began) / 1000;
      task.rate = seconds > 0.5 ? (task.sent - task.base) / seconds : 0;
      tell();
    });
    task.sent = task.total;
    task.state = 'done';
  } catch (error) {
    if (task.state === 'sending') {
      task.state = 'failed';
      task.problem = error.name === 'NotReadableError' ? 'The file cannot be read any more.' : error.message;
    }
  }
  pump();
}

const CHUNK = 8 * 1024 * 1024;

/**
 * The chunked route: pieces of 8 MiB that go on where they stopped, also after a reload when the same file is dropped
 * again. Answers the finished upload {server_filename, sha256, size}.
 */
export async function chunked(task, progress) {
  const path = `/cloud/client/api/${encodeURIComponent(state.user.tenant)}/upload_package_version`;
  const { file } = task;
  // Opaque to the server; name, size and time of the file make it the same file's upload again.
  const id = `${file.name.replace(/[/\\\p{Cc}]/gu, '_').slice(-120)}_${file.size}${file.lastModified}`;
  const signal = task.abort.signal;
  const plain = encodeURIComponent(id).slice(0, 250);
  // Sent again, the first piece costs little and tells what else of this file is there already.
  let known = null;
  let missing = [[0, file.size - 1]];
  while (!known?.complete) {
    const [first, end] = missing[0];
    const stop = Math.min(end, first + CHUNK - 1);
    const before = file.size - missing.reduce((sum, [from, to]) => sum + to - from + 1, 0);
    known = await api.upload(path, file.slice(first, stop + 1), { headers: { 'X-File-ID': plain, 'Content-Range': `bytes ${first}-${stop}/${file.size}`, 'Content-Type': 'application/octet-stream' }, signal, progress: (sent) => progress(before + sent) });
    missing = known.missing;
    progress(known.received);
  }
  return known;
}

addEventListenerOnce();

function addEventListenerOnce() {
  // Pure functions of this module are tested without a browser.
  if (typeof addEventListener !== 'function') return;
  addEventListener('beforeunload', (event) => {
    if (tasks.some((task) => task.state === 'sending' || task.state === 'queued')) event.preventDefault();
  });
}
