// The lines that fetch or install an artifact through one of the doors that offer it; shown when they are asked for.
import { h, replace } from '../dom.js';
import { api } from '../api.js';
import { base } from '../state.js';
import { productDownload, refpack, repository, sh } from '../snippets.js';
import { failure } from './error.js';
import { snippets } from './snippet.js';

const WAYS = {
  product: async ({ parts: [name, version], file }) => productDownload(base(), { name, version, filename: file }),
  refpack: async ({ parts: [id, version] }) => refpack(base(), { id, version }),
  package: async (one, { digest }) => [{ id: 'curl', label: 'curl', language: 'sh', text: `curl -fOJ ${sh(`${base()}/package/${digest}/content`)}` }],
  repo: async ({ parts: [name], file }, { name: known }) => {
    const repo = await api.get(`/repo/${encodeURIComponent(name)}`);
    return repository(base(), repo, repo.type === 'dir' ? file : known);
  },
};

/** A line that opens to the commands; null for doors whose own page has them. */
export function ways(one, artifact) {
  const make = WAYS[one.kind];
  if (!make) return null;
  const box = h('div');
  const fill = async () => {
    try {
      replace(box, snippets(await make(one, artifact), `way-${one.kind}`));
    } catch (error) {
      replace(box, failure(error, fill));
    }
  };
  return h('details', { class: 'disclosure', ontoggle: (event) => { if (event.target.open && !box.firstChild) fill(); } }, h('summary', null, one.kind === 'repo' ? 'How machines get it' : 'How to fetch it'), box);
}
