// Horizontal bars with direct labels, drawn as SVG, with the same figures in a table one click away.
//   barChart({ title, description, rows: [{ label, value }], unit })
import { h, s } from '../dom.js';
import { number } from '../format.js';
import { clip, figures, widthOf } from './chart.js';

export function barChart({ title, description = '', rows, unit = '', width = 720 }) {
  const WIDTH = widthOf(width);
  const top = Math.max(1, ...rows.map((row) => row.value));
  const line = 34;
  return h('figure', { class: 'chart' },
    s('svg', { viewBox: `0 0 ${WIDTH} ${rows.length * line || 1}`, role: 'img', 'aria-label': `${title}. ${description}` },
      rows.map((row, index) => [
        s('text', { class: 'tick', x: 0, y: index * line + 12 }, clip(row.label, WIDTH < 500 ? 40 : 60)),
        s('text', { class: 'tick', x: WIDTH, y: index * line + 12, 'text-anchor': 'end' }, number(row.value)),
        s('rect', { class: 'bar-fill s1', x: 0, y: index * line + 18, width: Math.max(row.value > 0 ? 2 : 0, (WIDTH * row.value) / top), height: 8, rx: 4 }),
      ])),
    figures(title, ['', unit], rows.map((row) => [row.label, number(row.value)])));
}
