// A place to drop files that is a button too: `dropzone({ label, hint, multiple, accept, onfiles })`; and
// `dropAnywhere(onfiles)`, which shows the full-window target while files are dragged over the page.
import { h, icon } from '../dom.js';

export function dropzone({ label = 'Drop files here, or choose them', hint, multiple = true, accept, onfiles }) {
  const input = h('input', { type: 'file', multiple, accept, hidden: true, onchange: () => {
    if (input.files.length) onfiles([...input.files]);
    input.value = '';
  } });
  const node = h('button', {
    type: 'button', class: 'dropzone', onclick: () => input.click(),
    ondragover: (event) => { event.preventDefault(); node.dataset.over = ''; },
    ondragleave: () => { delete node.dataset.over; },
    ondrop: (event) => {
      event.preventDefault();
      event.stopPropagation();
      delete node.dataset.over;
      dispatchEvent(new Event('packhouse-dropped'));
      const files = [...event.dataTransfer.files];
      if (files.length) onfiles(multiple ? files : files.slice(0, 1));
    },
  }, icon('upload'), h('strong', null, label), hint && h('span', null, hint));
  return h('div', null, node, input);
}

/** Opens the file chooser. */
export function chooseFiles(onfiles, { multiple = true, accept } = {}) {
  const input = h('input', { type: 'file', multiple, accept, onchange: () => onfiles([...input.files]) });
  input.click();
}

/** Files dropped anywhere on the page; answers a function that ends it. `allowed()` is asked when a drag begins. */
export function dropAnywhere(onfiles, allowed = () => true) {
  let depth = 0;
  let veil = null;
  const away = () => {
    depth = 0;
    veil?.remove();
    veil = null;
  };
  const carriesFiles = (event) => event.dataTransfer?.types?.includes('Files') && !document.querySelector('dialog[open]');
  const stop = new AbortController();
  const on = (name, heard) => addEventListener(name, heard, { signal: stop.signal });
  on('dragenter', (event) => {
    if (!carriesFiles(event) || !allowed()) return;
    event.preventDefault();
    depth += 1;
    if (veil) return;
    veil = h('div', { class: 'drop-veil' }, h('div', null, icon('upload'), 'Drop to upload'));
    document.body.append(veil);
  });
  on('dragleave', () => {
    depth -= 1;
    if (depth <= 0) away();
  });
  on('dragover', (event) => { if (event.dataTransfer?.types?.includes('Files')) event.preventDefault(); });
  on('packhouse-dropped', away);
  on('drop', (event) => {
    // A file that missed its target must not replace the page.
    event.preventDefault();
    const wanted = veil && carriesFiles(event);
    away();
    if (wanted && event.dataTransfer.files.length) onfiles([...event.dataTransfer.files]);
  });
  return () => { stop.abort(); away(); };
}
