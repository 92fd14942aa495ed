// Repositories, upstreams and packages over their own dialect.
import { address, api } from '../api.js';

export const TYPES = { apt: 'apt (Debian, Ubuntu)', yum: 'yum, dnf (Fedora, RHEL, SUSE)', dir: 'Directory (any file)' };
/** Kinds of files a repository of a type takes; null for all. */
export const TAKES = { apt: 'deb', yum: 'rpm', dir: null };

export const NAME = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/;
export const nameRule = (text) => (NAME.test(text.trim()) ? null : 'Letters, digits, dots, dashes, underscores and plus signs, the first a letter or digit.');

const repo = (name) => `/repo/${encodeURIComponent(name)}`;
const upstream = (name) => `/upstream/${encodeURIComponent(name)}`;

export const repoNames = async (signal) => Object.keys(await api.get('/repo', { signal }));
export const upstreamNames = async (signal) => Object.keys(await api.get('/upstream', { signal }));
export const repoNamed = (name, signal) => api.get(repo(name), { signal });
export const upstreamNamed = (name, signal) => api.get(upstream(name), { signal });
export const createRepo = (values) => api.post('/repo', values);
export const changeRepo = (name, values) => api.put(repo(name), values);
export const deleteRepo = (name) => api.del(repo(name));
export const patchPackages = (name, change) => api.patch(`${repo(name)}/packages`, change);
export const copyInto = (name, from) => api.put(`${repo(name)}/packages`, { sync: from });
export const createUpstream = (values) => api.post('/upstream', values);
export const changeUpstream = (name, values) => api.put(upstream(name), values);
export const deleteUpstream = (name) => api.del(upstream(name));
export const lastSync = (name, signal) => api.get(`${upstream(name)}/sync`, { signal, quiet: true }).catch((error) => (error.status === 404 ? null : Promise.reject(error)));
export const cancelSync = (name) => api.del(`${upstream(name)}/sync`);
export const snapshotsOf = (name, signal) => api.get(`${repo(name)}/snapshots`, { signal });
export const takeSnapshot = (name, snapshot) => api.post(`${repo(name)}/snapshots`, { name: snapshot });
export const deleteSnapshot = (name, snapshot) => api.del(`${repo(name)}/snapshots/${encodeURIComponent(snapshot)}`);
/** How a repository differs from `repo/X`, `upstream/X` or `snapshot/X@S`. */
export const differences = (name, other, signal) => api.get(`${repo(name)}/diff`, { query: { with: other }, signal });
export const trustedKeys = (signal) => api.get('/key/trusted', { signal });
export const trustKey = (text) => api.post('/key/trusted', text, { headers: { 'Content-Type': 'application/pgp-keys' } });
export const distrustKey = (fingerprint) => api.del(`/key/trusted/${encodeURIComponent(fingerprint)}`);
/** Where a bundle of a repository is fetched; `since` leaves out what that generation had. */
export const exportAddress = (name, since) => address(`${repo(name)}/export`, { since });

/** The first bytes of a bundle say what it is: enough to refuse it before all of it has travelled. */
const FIRST = 256 * 1024;

/** Sends a bundle. */
export async function importBundle(file, { trust, replace }, progress) {
  const options = { query: { trust: trust ? 1 : '', replace: replace ? 1 : '' }, headers: { 'Content-Type': 'application/zip' } };
  if (file.size > 2 * FIRST) {
    await api.upload('/import', file.slice(0, FIRST), options).catch((error) => (error.status === 400 && /ends early/.test(error.message) ? null : Promise.reject(error)));
  }
  return api.upload('/import', file, { ...options, progress });
}

/** The packages of a repository or upstream, by name and newest first as the server orders them. */
export async function packagesOf(kind, name, signal) {
  const found = await api.get(`/${kind}/${encodeURIComponent(name)}/packages`, { signal });
  return Object.values(found).sort((a, b) => a.name.localeCompare(b.name) || b.version.localeCompare(a.version, 'en', { numeric: true }) || (a.arch ?? '').localeCompare(b.arch ?? ''));
}

export const packageNamed = (digest, signal) => api.get(`/package/${encodeURIComponent(digest)}`, { signal });
/** Where the bytes of a package are; one that is not here yet is fetched by asking. */
export const packageAddress = (digest) => address(`/package/${encodeURIComponent(digest)}/content`);

/** A version as people read it: epoch and release with it. */
export function versionOf(entry) {
  const epoch = entry.epoch ? `${entry.epoch}:` : '';
  return `${epoch}${entry.version}${entry.release ? `-${entry.release}` : ''}`;
}

/** Sends a package's bytes; `into` adds it to a repository in the same step. */
export function sendPackage(file, into, progress) {
  return api.upload('/package', file, { query: { filename: file.name, repo: into }, headers: { 'Content-Type': 'application/octet-stream' }, progress });
}
