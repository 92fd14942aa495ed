// What this program is, its version, and the libraries inside.
import { h } from '../dom.js';
import { api } from '../api.js';
import { card, facts, pageHead } from '../parts/page.js';
import { count } from '../format.js';

export const title = 'About';

export async function render(ctx) {
  const about = await api.get('/ui/api/about', { signal: ctx.signal });
  return h('div', { class: 'page' },
    pageHead({ title, lead: 'Packhouse: one shelf of software packages with several front doors, in one executable.' }),
    card('This program', {}, facts([['Version', about.version], ['Installation', h('code', null, about.installation)], ['System', about.system], ['Licence', 'MIT or Apache-2.0, as you like']])),
    card('Libraries inside', {}, h('p', { class: 'hint' }, 'The pages of this interface use no library. The program stands on these, each under its own free licence:'),
      h('details', { class: 'disclosure' }, h('summary', null, count(about.libraries.length, 'library', 'libraries')),
        h('ul', { class: 'columns' }, about.libraries.map((one) => h('li', null, one.name, ' ', h('span', { class: 'muted' }, one.version)))))));
}
