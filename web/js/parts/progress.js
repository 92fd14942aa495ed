// Progress with a name and words: `const bar = progress('Uploading a.deb'); bar.at(done, total, 'left', 'right')`.
import { h, replace } from '../dom.js';

export function progress(name, { done, total, left, right } = {}) {
  const bar = h('progress', { 'aria-label': name });
  const words = h('div', { class: 'words' });
  const node = h('div', { class: 'progress' }, bar, words);
  node.at = (sofar, whole, before, behind) => {
    if (whole > 0) {
      bar.max = whole;
      bar.value = Math.min(sofar ?? 0, whole);
    } else bar.removeAttribute('value');
    replace(words, h('span', null, before), h('span', null, behind));
  };
  node.tone = (tone) => { node.dataset.tone = tone; };
  node.at(done, total, left, right);
  return node;
}
