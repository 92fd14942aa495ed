// Who did what to what, from where, when: filters kept in the address, and the same as a table for other programs.
import { h } from '../dom.js';
import { api } from '../api.js';
import { save } from '../transfer.js';
import { keepQuery } from '../router.js';
import { pageHead } from '../parts/page.js';
import { button, busy } from '../parts/button.js';
import { field } from '../parts/field.js';
import { announce } from '../parts/toast.js';
import { table } from '../parts/table.js';
import { empty, nothingFits } from '../parts/empty.js';
import { trailColumns } from '../parts/trail.js';

export const title = 'Audit';
const NAMES = ['who', 'what', 'q', 'from', 'until'];

export function render(ctx) {
  const filter = Object.fromEntries(NAMES.map((name) => [name, ctx.query.get(name) ?? '']));
  let timer;
  const input = (name, label, more = {}) => field({ label, name, value: filter[name], optional: false, ...more, oninput: (event) => {
    filter[name] = event.target.value;
    clearTimeout(timer);
    timer = setTimeout(apply, 250);
  } });
  const fields = [input('who', 'Who', { placeholder: 'user:ann' }), input('what', 'What', { placeholder: 'upload' }), input('q', 'On what', { placeholder: 'name or version' }), input('from', 'From', { type: 'date' }), input('until', 'Until', { type: 'date' })];
  const apply = () => {
    keepQuery(filter);
    list.reload();
  };
  const clear = () => {
    for (const one of fields) {
      one.value = '';
      filter[one.fieldName] = '';
    }
    apply();
  };
  const list = table({
    caption: 'Events, the newest first', keyOf: (row) => `${row.at} ${row.who} ${row.what} ${row.subject}`, columns: trailColumns(),
    load: ({ cursor }) => api.get('/ui/api/audit', { query: { ...filter, cursor }, signal: ctx.signal }),
    empty: () => (NAMES.some((name) => filter[name]) ? nothingFits('No event fits these filters', clear) : empty({ icon: 'list', title: 'Nothing has happened yet', text: 'Every change is written down here: who, what, when and from where.' })),
  });
  const csv = button('Export as CSV', { icon: 'download', onclick: () => busy(csv, 'Exporting…', async () => save(await api.blob('/ui/api/audit.csv', { query: filter }), 'audit.csv')).catch((error) => announce(error.message)) });
  return h('div', { class: 'page' }, pageHead({ title, lead: 'Every change to this server, the newest first. Lines are only ever added.', actions: csv }),
    h('search', { class: 'fields-row fields-wide' }, fields), h('section', { class: 'card card-flush' }, list));
}
