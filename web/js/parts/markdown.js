// Markdown of changelogs and readmes as nodes: `markdown(text)`. What is not known stays text; nothing is parsed as HTML,
// pictures become links, and links lead to the web or to mail only.
//
// `blocks(text)` and `inline(text)` are the pure half, tested without a browser.
import { h } from '../dom.js';

/** Characters read at most: a longer text ends with a note. */
const MOST = 200_000;
/** Quotes and lists inside each other. */
const DEPTH = 6;

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const BULLET = /^( {0,3})([-*+])[ \t]+(.*)$/;
const NUMBER = /^( {0,3})(\d{1,9})[.)][ \t]+(.*)$/;
const QUOTE = /^ {0,3}>[ ]?(.*)$/;
const ROW = /^\s*\|?(.*?)\|?\s*$/;
const DIVIDER = /^\s*\|?\s*:?-{1,}:?\s*(?:\|\s*:?-{1,}:?\s*)*\|?\s*$/;

/** The blocks of a text: {kind, …} with kinds heading, paragraph, code, list, quote, rule, table. */
export function blocks(text, depth = 0) {
  const lines = String(text).replaceAll('\r\n', '\n').replaceAll('\t', '    ').split('\n');
  const found = [];
  let at = 0;
  const starts = (line) => FENCE.test(line) || HEADING.test(line) || RULE.test(line) || (depth < DEPTH && (BULLET.test(line) || NUMBER.test(line) || QUOTE.test(line)));
  while (at < lines.length) {
    const line = lines[at];
    const fence = FENCE.exec(line);
    const heading = HEADING.exec(line);
    if (!line.trim()) at += 1;
    else if (fence) {
      const code = [];
      at += 1;
      while (at < lines.length && !(lines[at].trim().startsWith(fence[1]) && !lines[at].trim().replaceAll(fence[1][0], ''))) code.push(lines[at++]);
      at += 1;
      found.push({ kind: 'code', text: code.join('\n') });
    } else if (heading) {
      found.push({ kind: 'heading', level: heading[1].length, text: heading[2] ?? '' });
      at += 1;
    } else if (RULE.test(line)) {
      found.push({ kind: 'rule' });
      at += 1;
    } else if (depth < DEPTH && QUOTE.test(line)) {
      const inner = [];
      while (at < lines.length && QUOTE.test(lines[at])) inner.push(QUOTE.exec(lines[at++])[1]);
      found.push({ kind: 'quote', blocks: blocks(inner.join('\n'), depth + 1) });
    } else if (depth < DEPTH && (BULLET.test(line) || NUMBER.test(line))) {
      const pattern = BULLET.test(line) ? BULLET : NUMBER;
      const items = [];
      const start = pattern === NUMBER ? Number(NUMBER.exec(line)[2]) : null;
      while (at < lines.length) {
        const item = pattern.exec(lines[at]);
        if (!item || RULE.test(lines[at])) break;
        const inner = [item[3]];
        const indent = item[1].length + 2;
        at += 1;
        while (at < lines.length && (lines[at].startsWith(' '.repeat(indent)) || (lines[at].trim() && inner.at(-1).trim() && !starts(lines[at])) || (!lines[at].trim() && lines[at + 1]?.startsWith(' '.repeat(indent))))) {
          inner.push(lines[at].startsWith(' '.repeat(indent)) ? lines[at].slice(indent) : lines[at]);
          at += 1;
        }
        items.push(blocks(inner.join('\n'), depth + 1));
        if (!lines[at]?.trim() && pattern.test(lines[at + 1] ?? '')) at += 1;
      }
      found.push({ kind: 'list', start, items });
    } else if (line.includes('|') && DIVIDER.test(lines[at + 1] ?? '') && lines[at + 1].includes('-')) {
      const cells = (row) => ROW.exec(row)[1].split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
      const head = cells(line);
      const rows = [];
      at += 2;
      while (at < lines.length && lines[at].trim() && lines[at].includes('|')) rows.push(cells(lines[at++]));
      found.push({ kind: 'table', head, rows });
    } else {
      const words = [line.trim()];
      at += 1;
      while (at < lines.length && lines[at].trim() && !starts(lines[at])) words.push(lines[at++].trim());
      found.push({ kind: 'paragraph', text: words.join('\n') });
    }
  }
  return found;
}

// Every alternative is bounded, so that no text makes the search slow.
const SPAN = /\\([!-/:-@[-`{-~])|(`{1,3})((?:(?!\2)[\s\S]){1,2000}?)\2|!?\[([^\][]{0,500})\]\(\s*<?([^\s<>()]{0,2000}(?:\([^\s<>()]{0,500}\))?[^\s<>()]{0,500})>?(?:\s+"[^"]{0,300}")?\s*\)|<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>|\*\*(?=\S)([^*\n]{1,1000}?\S?)\*\*|__(?=\S)([^_\n]{1,1000})__|\*(?=\S)([^*\n]{1,1000})\*|(?<![\p{L}\p{N}_])_(?=\S)([^_\n]{1,1000})_(?![\p{L}\p{N}_])|~~([^~\n]{1,1000})~~|\b(https?:\/\/[^\s<>"')\]]{1,1000}[^\s<>"')\].,;:!?])/gu;

/** The spans of a line: text, or {kind: code | strong | em | del | link, …}. */
export function inline(text, depth = 0) {
  const spans = [];
  let from = 0;
  for (const found of text.matchAll(SPAN)) {
    const [all, escaped, , code, label, target, auto, strong, strong2, em, em2, del, bare] = found;
    if (found.index > from) spans.push(text.slice(from, found.index));
    from = found.index + all.length;
    const inner = (words) => (depth < DEPTH ? inline(words, depth + 1) : [words]);
    if (escaped !== undefined) spans.push(escaped);
    else if (code !== undefined) spans.push({ kind: 'code', text: code.trim() || code });
    else if (target !== undefined) {
      const words = label || target;
      spans.push(leads(target) ? { kind: 'link', href: target, spans: inner(words) } : words);
    } else if (auto ?? bare) spans.push({ kind: 'link', href: auto ?? bare, spans: [auto ?? bare] });
    else if (strong ?? strong2) spans.push({ kind: 'strong', spans: inner(strong ?? strong2) });
    else if (em ?? em2) spans.push({ kind: 'em', spans: inner(em ?? em2) });
    else spans.push({ kind: 'del', spans: inner(del) });
  }
  if (from < text.length) spans.push(text.slice(from));
  return spans;
}

/** Whether a link may be followed: to the web or to mail, never to a script, a file or a page of this program. */
export function leads(target) {
  return /^(https?:\/\/|mailto:)[^\s]+$/i.test(target);
}

function draw(spans) {
  return spans.map((span) => {
    if (typeof span === 'string') return span;
    if (span.kind === 'code') return h('code', null, span.text);
    if (span.kind === 'link') return h('a', { href: span.href, rel: 'noopener noreferrer nofollow', target: '_blank' }, draw(span.spans));
    return h(span.kind, null, draw(span.spans));
  });
}

function lines(text) {
  // Two blanks or a backslash at the end of a line would break it; a plain line end is a blank.
  return draw(inline(text));
}

/** Headings as they fit below a heading of `base`: the highest of them first, and never a step left out. */
function levels(list, base) {
  const top = Math.min(...list.filter((block) => block.kind === 'heading').map((block) => block.level));
  let last = base;
  return list.map((block) => {
    if (block.kind === 'heading') last = Math.min(6, last + 1, base + 1 + block.level - top);
    return last;
  });
}

function build(list, base) {
  const ranks = levels(list, base);
  return list.map((block, at) => {
    if (block.kind === 'heading') return h(`h${ranks[at]}`, null, lines(block.text));
    if (block.kind === 'code') return h('pre', { tabindex: '0', role: 'region', 'aria-label': 'Code' }, h('code', null, block.text));
    if (block.kind === 'rule') return h('hr');
    if (block.kind === 'quote') return h('blockquote', null, build(block.blocks, base));
    if (block.kind === 'table') return h('div', { class: 'table-box' }, h('table', { class: 'table' }, h('thead', null, h('tr', null, block.head.map((cell) => h(cell ? 'th' : 'td', cell ? { scope: 'col' } : null, lines(cell))))), h('tbody', null, block.rows.map((row) => h('tr', null, block.head.map((_, at) => h('td', null, lines(row[at] ?? ''))))))));
    if (block.kind === 'list') {
      const items = block.items.map((item) => h('li', null, item.length === 1 && item[0].kind === 'paragraph' ? lines(item[0].text) : build(item, base)));
      return block.start === null ? h('ul', null, items) : h('ol', { start: block.start === 1 ? null : block.start }, items);
    }
    return h('p', null, lines(block.text));
  });
}

/** A text as nodes. Headings begin one level below `level`. */
export function markdown(text, { level = 2 } = {}) {
  const whole = String(text ?? '');
  const cut = whole.length > MOST;
  return h('div', { class: 'prose' }, build(blocks(cut ? whole.slice(0, MOST) : whole), level), cut && h('p', { class: 'muted' }, 'The text goes on; the rest is not shown here.'));
}
