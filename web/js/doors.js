// What people call the holders of an artifact, and where each one's page is.
import { link } from './router.js';

const DOORS = {
  product: ['Product', 'tag', ([name]) => link('/products/:name', { name })],
  app: ['App release', 'apps', () => '#/apps'],
  logo: ['App logo', 'apps', () => '#/apps'],
  winget: ['Windows package', 'windows', () => '#/windows'],
  'winget-logo': ['Logo of a Windows package', 'windows', () => '#/windows'],
  upload: ['Unclaimed upload', 'upload', () => '#/windows'],
  refpack: ['RefPack', 'book', ([id]) => link('/refpacks/:id', { id })],
  repo: ['Repository', 'layers', ([name]) => link('/repositories/:name', { name })],
  'repo-index': ['Index of a repository', 'layers', ([name]) => link('/repositories/:name', { name })],
  snapshot: ['Snapshot', 'layers', ([full = '']) => link('/repositories/:name', { name: full.replace(/@[^@]*$/, '') }, { tab: 'snapshots' })],
  upstream: ['Copy of an upstream', 'globe', ([name]) => link('/upstreams/:name', { name })],
  'upstream-extra': ['Index of an upstream', 'globe', ([name]) => link('/upstreams/:name', { name })],
  'sync-cache': ['Fetched, not yet taken over', 'globe', () => null],
  package: ['Uploaded by hand', 'upload', () => '#/catalog?held=package'],
};

/** `{label, icon, href, name}` of a holder `{kind, parts}`. */
export function door({ kind, parts = [] }) {
  const [label, icon, href] = DOORS[kind] ?? [kind, 'box', () => null];
  const named = ['product', 'refpack', 'repo', 'snapshot', 'upstream', 'repo-index', 'upstream-extra'].includes(kind);
  return { label, icon, href: href(parts), name: named ? parts.join(' ') : '' };
}

/** What ends a hold: `{words, work}`; null where only the door's own page can, or the hold ends by itself. */
export function letGo({ kind, parts = [] }, digest) {
  const [first, second] = parts;
  if (kind === 'repo') return { words: `leaves the repository ${first}, which is published anew`, work: (api) => api.patch(`/repo/${encodeURIComponent(first)}/packages`, { [digest]: false }) };
  if (kind === 'product') return { words: `version ${second} of the product ${first} is deleted`, work: (api) => api.del('/product/modify/deleteVersion', { body: { product: first, version: second } }) };
  if (kind === 'package') return { words: 'is no longer kept for its own sake', work: (api) => api.del(`/package/${digest}`) };
  return null;
}

/** The doors a catalog can be filtered by. */
export const FILTERS = ['product', 'app', 'winget', 'refpack', 'repo', 'snapshot', 'upstream', 'package', 'repo-index', 'upstream-extra'].map((kind) => [kind, DOORS[kind][0]]);
/** What the catalog calls artifacts that no door offers: uploaded and never placed, or let go by all but the upload. */
export const NOWHERE = 'none';
export const KINDS = ['deb', 'rpm', 'msi', 'msix', 'exe', 'zip', 'tar', 'nupkg', 'refpack', 'file'];
