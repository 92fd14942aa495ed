// What this program is, its version, and the libraries inside.
import { h } from '../dom.js';
import { api } from '../api.js';
import { card, facts, pageHead } from '../parts/page.js';
import { linkButton } from '../parts/button.js';
import { table } from '../parts/table.js';
import { count } from '../format.js';

export const title = 'About';

export async function render(ctx) {
  const about = await api.get('/ui/api/about', { signal: ctx.signal });
  return h('div', { class: 'page' },
    pageHead({ title, lead: 'Packhouse: one shelf of software packages with several front doors, in one executable.' }),
    card('This program', {}, facts([['Version', about.version], ['Installation', h('code', null, about.installation)], ['System', about.system], ['Licence', 'MIT or Apache-2.0, as you like']])),
    card('Libraries inside', {}, h('p', { class: 'hint' }, 'The pages of this interface use no library. The program stands on these, each under its own free licence:'),
      facts([...byLicence(about.libraries)].map(([licence, number]) => [licence, count(number, 'library', 'libraries')])),
      h('div', { class: 'actions' }, linkButton('The words of these licences', '/ui/licences.txt', { icon: 'book', target: '_blank', rel: 'noopener' })),
      everyOne(about.libraries)));
}

/** The table is made when it is first looked at: it is long. */
function everyOne(libraries) {
  const node = h('details', { class: 'disclosure', ontoggle: () => {
    if (node.open && node.children.length === 1) {
      node.append(table({ caption: 'Libraries inside', plain: true, keyOf: (row) => `${row.name} ${row.version}`, rows: libraries, columns: [
        { label: 'Library', head: true, cell: (row) => row.name }, { label: 'Version', cell: (row) => row.version }, { label: 'Licence', cell: (row) => row.licence },
      ] }));
    }
  } }, h('summary', null, `All ${count(libraries.length, 'library', 'libraries')}`));
  return node;
}

/** How many libraries there are of each licence, the most common first; the order of a choice does not matter. */
export function byLicence(libraries) {
  const sums = new Map();
  for (const { licence } of libraries) {
    const words = / AND |\(/.test(licence) ? licence : licence.split(' OR ').sort().join(' or ');
    sums.set(words, (sums.get(words) ?? 0) + 1);
  }
  return [...sums].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}
