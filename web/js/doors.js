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
  upstream: ['Copy of an upstream', 'globe', ([name]) => link('/upstreams/:name', { name })],
  package: ['Uploaded by hand', 'upload', () => '#/catalog?held=package'],
};

/** `{label, icon, href, name}` of a holder `{kind, parts}`. */
export function door({ kind, parts = [] }) {
  const [label, icon, href] = DOORS[kind] ?? [kind, 'box', () => null];
  const named = ['product', 'refpack', 'repo', 'upstream', 'repo-index'].includes(kind);
  return { label, icon, href: href(parts), name: named ? parts.join(' ') : '' };
}

/** The doors a catalog can be filtered by. */
export const FILTERS = ['product', 'app', 'winget', 'refpack', 'repo', 'upstream', 'package'].map((kind) => [kind, DOORS[kind][0]]);
export const KINDS = ['deb', 'rpm', 'msi', 'msix', 'exe', 'zip', 'tar', 'nupkg', 'refpack', 'file'];
