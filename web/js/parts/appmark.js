// The mark of an app, a package or a data set: its picture, or its first letter on a colour that stays the same.
//   mark('Acme', '/app/logo/…')      markOf('Acme', 'data:image/png;base64,…') draws pictures that came as text
import { h } from '../dom.js';

function letter(name) {
  const first = [...String(name).trim()][0] ?? '?';
  const sum = [...String(name)].reduce((all, sign) => (all * 31 + sign.codePointAt(0)) % 9973, 7);
  return h('span', { class: ['mark', `s${(sum % 5) + 1}`], 'aria-hidden': 'true' }, first.toUpperCase());
}

export function mark(name, source, size = '') {
  const node = source ? h('img', { class: 'mark', src: source, alt: '', loading: 'lazy', onerror: () => node.replaceWith(letter(name)) }) : letter(name);
  if (size) node.classList.add(`mark-${size}`);
  return node;
}

/** A picture given as a data address. The content policy takes no such address, so the bytes are drawn on a canvas. */
export function markOf(name, data, size = '') {
  const node = letter(name);
  if (size) node.classList.add(`mark-${size}`);
  const found = /^data:(image\/(?:png|jpeg));base64,([A-Za-z0-9+/=]+)$/.exec(data ?? '');
  if (found) paint(node, found[1], found[2]).catch(() => {});
  return node;
}

async function paint(node, type, text) {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const picture = await createImageBitmap(new Blob([bytes], { type }));
  const side = 128;
  const canvas = h('canvas', { class: node.className, width: side, height: side, 'aria-hidden': 'true' });
  const scale = Math.min(side / picture.width, side / picture.height);
  canvas.getContext('2d').drawImage(picture, (side - picture.width * scale) / 2, (side - picture.height * scale) / 2, picture.width * scale, picture.height * scale);
  canvas.className = `mark${node.classList.contains('mark-large') ? ' mark-large' : ''}`;
  node.replaceWith(canvas);
}
