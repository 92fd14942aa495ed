// Lines of the audit trail as a table.
import { h } from '../dom.js';
import { badge } from './badge.js';
import { time } from './digest.js';
import { timeline } from './timeline.js';

/** The columns of the trail. */
export function trailColumns() {
  return [
    { label: 'What', head: true, cell: (row) => badge(row.what, toneOf(row.what), { plain: true }) },
    { label: 'Who', cell: (row) => row.who },
    { label: 'On what', cell: (row) => h('span', { dir: 'auto' }, row.subject) },
    { label: 'From', cell: (row) => row.address ?? '' },
    { label: 'When', tight: true, cell: (row) => time(row.at) },
  ];
}

/** A few lines of the trail for a narrow place. */
export function trailList(rows) {
  return timeline(rows.map((row) => ({ tone: { bad: 'bad', ok: 'full' }[toneOf(row.what)] ?? '', body: [h('strong', null, row.what), h('div', { class: 'small muted' }, time(row.at), ` by ${row.who}`, row.address && ` from ${row.address}`)] })), 'Events, the newest first');
}

function toneOf(what) {
  if (/delete|prune|remove|damaged|cancel|fail/.test(what)) return 'bad';
  if (/create|register|upload|push|claim|add/.test(what)) return 'ok';
  return '';
}
