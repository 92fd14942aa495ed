// The devices of an app over time: how many asked, which versions they have, where they run. Charts with their figures.
import { h, replace } from '../dom.js';
import { api } from '../api.js';
import { count, number, percent } from '../format.js';
import { barChart } from './bars.js';
import { lineChart } from './chart.js';
import { empty } from './empty.js';
import { field } from './field.js';
import { card } from './page.js';

const SPANS = [['', 'Today'], ['week', 'Last 8 days'], ['month', 'Last 31 days']];

export async function telemetry(app, lists, ctx) {
  const span = field({ label: 'Time', name: 'range', type: 'select', options: SPANS, value: 'month', onchange: () => fill() });
  const pick = (label, key, kind) => lists[kind].length > 1 && field({ label, name: key, type: 'select', options: [['', 'All'], ...lists[kind].map((one) => one.name)], onchange: () => fill() });
  const fields = [span, pick('Channel', 'channels', 'channel'), pick('Platform', 'platforms', 'platform'), pick('Architecture', 'architectures', 'arch')].filter(Boolean);
  const box = h('div', { class: 'stack', 'aria-live': 'polite' });
  let turn = 0;
  const fill = async () => {
    turn += 1;
    const mine = turn;
    const shown = await api.get('/telemetry', { query: { apps: app, ...Object.fromEntries(fields.map((one) => [one.fieldName, one.value])) }, signal: ctx.signal });
    if (mine === turn) replace(box, draw(shown, span.value));
  };
  await fill();
  return h('div', { class: 'stack' }, h('div', { class: 'fields-row fields-row-wide' }, fields), box);
}

function draw(shown, range) {
  const { summary } = shown;
  if (summary.unique_clients === 0) {
    return h('div', { class: 'card' }, empty({ icon: 'chart', title: 'No device was counted in this time', text: 'A device is counted when its update check carries the header X-Device-ID. Only a keyed hash of it is kept, for 30 days.' }));
  }
  const tile = (label, figure, under) => h('div', { class: 'card tile' }, h('span', { class: 'label' }, label), h('span', { class: 'figure' }, figure), under && h('span', { class: 'label' }, under));
  const day = (text) => new Date(`${text}T00:00:00Z`).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
  const bars = (title, rows, key) => rows.length > 0 && card(title, {}, barChart({ title, rows: [...rows].sort((a, b) => b.client_count - a.client_count).slice(0, 12).map((row) => ({ label: row[key] || 'none', value: row.client_count })), unit: 'Devices', width: 440 }));
  return [
    h('div', { class: 'grid grid-tiles' },
      tile('Devices', number(summary.unique_clients)),
      tile('Up to date', percent(summary.clients_using_latest_version, summary.unique_clients), count(summary.clients_using_latest_version, 'device')),
      tile('Outdated', number(summary.clients_outdated)),
      tile('Update checks', number(summary.total_requests))),
    range && card('Devices by day', {}, lineChart({
      title: 'Devices by day', description: `${count(summary.unique_clients, 'device')} in all.`, unit: 'devices', labels: shown.daily_stats.map((one) => day(one.date)),
      series: [{ name: 'All', values: shown.daily_stats.map((one) => one.unique_clients) }, { name: 'Outdated', values: shown.daily_stats.map((one) => one.clients_outdated) }],
    })),
    h('div', { class: 'grid grid-2' }, bars('Versions', shown.versions.usage, 'version'), bars('Platforms', shown.platforms, 'platform'), bars('Architectures', shown.architectures, 'arch'), bars('Channels', shown.channels, 'channel')),
  ];
}
