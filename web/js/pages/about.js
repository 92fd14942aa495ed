// What this program is, its version and licences.
import { h } from '../dom.js';
import { card, facts, pageHead } from '../parts/page.js';
import { state } from '../state.js';

export const title = 'About';

export function render() {
  return h('div', { class: 'page' },
    pageHead({ title, lead: 'Packhouse: one shelf of software packages with several front doors, in one executable.' }),
    card('This program', {}, facts([['Version', state.user.version], ['Licence', 'MIT or Apache-2.0']])));
}
