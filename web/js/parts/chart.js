// Lines over time, drawn as SVG, with the same figures in a table one click away.
//
//   lineChart({ title, description, labels: ['1 Nov', …], series: [{ name, values: [1, 2, …] }], unit: 'checks' })
//
// Series differ by colour, by dash and by a label at their end.
import { h, s } from '../dom.js';
import { number } from '../format.js';
import { sheet } from '../sheet.js';

const HEIGHT = 220;
const LEFT = 44;
const BOTTOM = 26;
const DASHES = [null, '6 3', '2 3', '8 3 2 3', '1 4'];

// Drawn as wide as it will stand, about, so that its words keep their size.
export function widthOf(given) {
  return Math.min(given, innerWidth < 720 ? 340 : given);
}

export function lineChart({ title, description = '', labels, series, unit = '', width = 720 }) {
  const WIDTH = widthOf(width);
  const right = series.length > 1 ? 96 : 12;
  const top = nice(Math.max(1, ...series.flatMap((one) => one.values)));
  const x = (index) => LEFT + (labels.length < 2 ? 0 : (index * (WIDTH - LEFT - right)) / (labels.length - 1));
  const y = (value) => 10 + (HEIGHT - BOTTOM - 10) * (1 - value / top);
  const ticks = [0, top / 2, top].filter((value) => Number.isInteger(value));
  const every = Math.max(1, Math.ceil(labels.length / (WIDTH < 500 ? 3 : 7)));
  const ends = spread(series.map((one) => y(one.values.at(-1) ?? 0)));
  return h('figure', { class: 'chart' },
    s('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `${title}. ${description}` },
      ticks.map((value) => [s('line', { class: 'axis', x1: LEFT, x2: WIDTH - right, y1: y(value), y2: y(value) }), s('text', { class: 'tick', x: LEFT - 8, y: y(value) + 4, 'text-anchor': 'end' }, number(value))]),
      labels.map((label, index) => index % every === 0 && s('text', { class: 'tick', x: x(index), y: HEIGHT - 6, 'text-anchor': index === 0 ? 'start' : 'middle' }, label)),
      series.map((one, index) => [
        s('polyline', { class: `series s${(index % 5) + 1}`, 'stroke-dasharray': DASHES[index % 5], points: one.values.map((value, at) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ') }),
        one.values.length === 1 && s('circle', { class: `bar-fill s${(index % 5) + 1}`, cx: x(0), cy: y(one.values[0]), r: 3 }),
        series.length > 1 && s('text', { class: `direct s${(index % 5) + 1}`, x: WIDTH - right + 8, y: ends[index] + 4 }, clip(one.name)),
      ])),
    figures(title, ['', ...series.map((one) => one.name || unit)], labels.map((label, index) => [label, ...series.map((one) => number(one.values[index] ?? 0))])));
}

/** The same in a table. */
export function figures(title, heads, rows) {
  return h('details', { ontoggle: () => sheet('lists').catch(() => {}) }, h('summary', null, 'Figures as a table'),
    h('div', { class: 'table-box' }, h('table', { class: 'table' }, h('caption', { class: 'sr' }, title),
      h('thead', null, h('tr', null, heads.map((text, index) => (index === 0 && !text ? h('td') : h('th', { scope: 'col', class: index && 'end' }, text))))),
      h('tbody', null, rows.map(([label, ...cells]) => h('tr', null, h('th', { scope: 'row' }, label), cells.map((cell) => h('td', { class: 'end' }, cell))))))));
}

/** The next round number. */
export function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 10].map((step) => step * power).find((step) => step >= value) ?? value;
}

/** Moves labels apart so that none lies on another. */
function spread(places) {
  const order = places.map((place, index) => ({ place, index })).sort((a, b) => a.place - b.place);
  for (let at = 1; at < order.length; at += 1) order[at].place = Math.max(order[at].place, order[at - 1].place + 14);
  const moved = [];
  for (const { place, index } of order) moved[index] = place;
  return moved;
}

export function clip(text, length = 13) {
  const points = [...String(text)];
  return points.length > length ? `${points.slice(0, length - 1).join('')}…` : points.join('');
}
