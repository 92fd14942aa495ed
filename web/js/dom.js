// Makes and updates elements. Text reaches the page as text nodes and attributes only; nothing here parses HTML.
//
//   h('p', { class: 'lead', onclick: go }, 'Hello ', h('b', null, name))   an element; children may be nodes, text,
//                                                                          numbers, arrays, and null or false (skipped)
//   s('svg', { viewBox: '0 0 10 10' }, …)                                  the same for SVG
//   replace(node, …children)                                               new children, old ones gone
//   keyed(node, items, keyOf, make, update)                                a list that keeps focus and selection
//   icon('box')                                                            a picture from icons.svg; say it in words too
//   uid('field')                                                           an id nobody else has
//
// Props: `class` takes text or an array with gaps; `data: {…}`, `vars: {…}` (custom properties and styles, set through
// the CSSOM because the content policy refuses style attributes); `on…` takes a function; `ref` is called with the node.
// `value`, `checked`, `disabled`, `selected`, `indeterminate` are set as properties, all else as attributes; null,
// undefined and false leave an attribute out, true sets it empty.

const PROPERTIES = new Set(['value', 'checked', 'selected', 'indeterminate', 'muted']);
const SVG = 'http://www.w3.org/2000/svg';

export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, props, children) {
  // A select has its value only once its options are there.
  append(node, children);
  for (const [name, value] of Object.entries(props ?? {})) set(node, name, value);
  return node;
}

/** Sets one prop of an element, as `h` would. */
export function set(node, name, value) {
  if (name === 'class') {
    const text = Array.isArray(value) ? value.filter(Boolean).join(' ') : value;
    if (text) node.setAttribute('class', text);
    else node.removeAttribute('class');
  } else if (name === 'data') {
    for (const [key, text] of Object.entries(value ?? {})) if (text !== null && text !== undefined && text !== false) node.dataset[key] = text === true ? '' : text;
  } else if (name === 'vars') {
    for (const [key, text] of Object.entries(value ?? {})) node.style.setProperty(key, String(text));
  } else if (name === 'ref') {
    value?.(node);
  } else if (name.startsWith('on') && (typeof value === 'function' || !value)) {
    if (value) node.addEventListener(name.slice(2), value);
  } else if (PROPERTIES.has(name)) {
    node[name] = value ?? '';
  } else if (value === null || value === undefined || value === false) {
    node.removeAttribute(name);
  } else if ((name === 'href' || name === 'src') && !isSafe(String(value))) {
    node.removeAttribute(name);
  } else {
    node.setAttribute(name, value === true ? '' : String(value));
  }
}

/** Whether an address may be linked: of this server, a web page, or something the page made itself. */
export function isSafe(address) {
  const scheme = /^[\s\u0000-\u001f]*([a-z][a-z0-9+.-]*):/i.exec(address);
  return !scheme || ['http', 'https', 'mailto', 'blob'].includes(scheme[1].toLowerCase());
}

/** Appends children; arrays are flattened, null, undefined and booleans are skipped, all else becomes text. */
export function append(node, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || typeof child === 'boolean') continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

/** Gives a node new children. */
export function replace(node, ...children) {
  node.replaceChildren();
  return append(node, children);
}

/**
 * Brings the children of `node` in line with `items`: a child with a known key stays the same element (so focus,
 * selection and scroll stay), is moved when its place changed and given to `update(child, item)`; others are made or
 * removed.
 */
export function keyed(node, items, keyOf, make, update) {
  const known = new Map();
  for (const child of [...node.children]) known.set(child.__key, child);
  const wanted = items.map((item) => {
    const key = keyOf(item);
    let child = known.get(key);
    if (child && known.delete(key)) update?.(child, item);
    else {
      child = make(item);
      child.__key = key;
    }
    return child;
  });
  for (const child of known.values()) child.remove();
  // An element that is moved loses the focus inside it, so the others move around that one.
  const still = wanted.findIndex((child) => child.contains(document.activeElement));
  const lay = (list, start) => {
    let place = start;
    for (const child of list) {
      if (child === place) place = place.nextElementSibling;
      else node.insertBefore(child, place);
    }
  };
  lay(wanted.slice(0, Math.max(0, still)), node.firstElementChild);
  lay(wanted.slice(still + 1), still < 0 ? node.firstElementChild : wanted[still].nextElementSibling);
  return node;
}

export function icon(name, className) {
  return s('svg', { class: ['icon', className], 'aria-hidden': 'true' }, s('use', { href: `/ui/icons.svg#${name}` }));
}

let last = 0;

export function uid(word = 'id') {
  last += 1;
  return `${word}-${last}`;
}
