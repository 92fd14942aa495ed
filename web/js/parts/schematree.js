// A JSON schema as a tree of fields: name, type, whether it must be there, what it says of itself.
import { h } from '../dom.js';
import { badge } from './badge.js';

const DEEP = 8;
const MANY = 400;

export function schemaTree(schema) {
  const left = { rows: MANY };
  const items = resolve(schema?.items ?? {}, schema, 0);
  const rows = fields(items, schema, 0, left);
  return rows.length ? h('ul', { class: 'tree' }, rows, left.rows <= 0 && h('li', { class: 'muted' }, 'and more')) : h('p', { class: 'muted' }, 'The schema names no fields.');
}

/** Follows `#/…` references inside the schema, a few steps. */
function resolve(node, root, steps) {
  if (!node || typeof node !== 'object' || typeof node.$ref !== 'string' || steps > 8) return node ?? {};
  if (!node.$ref.startsWith('#/')) return node;
  let found = root;
  for (const part of node.$ref.slice(2).split('/')) {
    let key = part;
    try {
      key = decodeURIComponent(part);
    } catch {
      // A name with a bare percent sign stands for itself.
    }
    found = found && Object.hasOwn(found, key.replaceAll('~1', '/').replaceAll('~0', '~')) ? found[key.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined;
  }
  return resolve(found ?? node, root, found ? steps + 1 : 9);
}

function fields(node, root, depth, left) {
  const names = node?.properties && typeof node.properties === 'object' ? Object.entries(node.properties) : [];
  const needed = Array.isArray(node?.required) ? node.required : [];
  return names.map(([name, given]) => {
    left.rows -= 1;
    if (left.rows < 0) return null;
    const one = resolve(given, root, 0);
    const inner = one?.type === 'array' || one?.items ? resolve(one.items ?? {}, root, 0) : one;
    const below = depth < DEEP ? fields(inner, root, depth + 1, left).filter(Boolean) : [];
    const line = [h('code', null, name), ' ', badge(type(one, inner)), needed.includes(name) && badge('required', 'info', { plain: true }), limits(one) && h('span', { class: 'muted small' }, ` ${limits(one)}`), one?.description && h('span', { class: 'muted small' }, ` ${String(one.description)}`)];
    return h('li', null, below.length ? h('details', { open: depth < 2 }, h('summary', null, line), h('ul', { class: 'tree' }, below)) : line);
  }).filter(Boolean);
}

function type(node, inner) {
  if (node === true || !node || typeof node !== 'object') return 'anything';
  if (Array.isArray(node.enum)) return 'one of a list';
  if (node.const !== undefined) return 'fixed';
  const name = [].concat(node.type ?? []).join(' or ');
  if (name === 'array') return `list of ${[].concat(inner?.type ?? 'anything').join(' or ')}`;
  return name || (node.properties ? 'object' : node.oneOf || node.anyOf ? 'one of several' : 'anything');
}

function limits(node) {
  const said = [];
  if (Array.isArray(node?.enum)) said.push(node.enum.slice(0, 12).map((value) => JSON.stringify(value)).join(', ') + (node.enum.length > 12 ? ', …' : ''));
  for (const [key, words] of [['minimum', 'from'], ['maximum', 'to'], ['minLength', 'at least'], ['maxLength', 'at most'], ['pattern', 'fits'], ['format', 'as']]) if (node?.[key] !== undefined) said.push(`${words} ${node[key]}${key.endsWith('Length') ? ' characters' : ''}`);
  return said.join(', ');
}
