// A ring of shares with a legend in words: ring({ title, middle: '3.4 GiB', under: 'of 20 GiB', parts: [{label, value, text}] }).
// Parts take the colours of the series in order; `rest: true` marks what is free.
import { h, s } from '../dom.js';
import { percent } from '../format.js';

export function ring({ title, middle, under, parts }) {
  const whole = parts.reduce((sum, part) => sum + part.value, 0);
  const radius = 59;
  const length = 2 * Math.PI * radius;
  let from = 0;
  let color = 0;
  const arcs = [];
  const legend = parts.map((part) => {
    const series = part.rest ? 's0' : `s${(color++ % 5) + 1}`;
    const share = whole > 0 ? (part.value / whole) * length : 0;
    if (share > 0 && !part.rest) {
      const gap = Math.min(2, share / 3);
      arcs.push(s('circle', { cx: 66, cy: 66, r: radius, class: series, stroke: 'var(--series)', 'stroke-dasharray': `${share - gap} ${length - share + gap}`, 'stroke-dashoffset': -from, transform: 'rotate(-90 66 66)' }));
    }
    from += share;
    return h('li', null, h('span', { class: ['swatch', series] }), h('span', null, part.label), h('span', { class: 'number' }, part.text ?? percent(part.value, whole)));
  });
  return h('div', { class: 'ring' },
    s('svg', { viewBox: '0 0 132 132', role: 'img', 'aria-label': `${title}: ${parts.map((part) => `${part.label} ${part.text ?? percent(part.value, whole)}`).join(', ')}` },
      s('circle', { cx: 66, cy: 66, r: radius, class: 'track' }), arcs,
      s('text', { x: 66, y: under ? 68 : 72 }, middle), under && s('text', { x: 66, y: 86, class: 'under' }, under)),
    h('ul', { class: 'legend' }, legend));
}
