// The Markdown reader: what it knows, and that nothing foreign becomes more than text.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { blocks, inline, leads } from '../../../web/js/parts/markdown.js';

test('blocks', () => {
  assert.deepEqual(blocks('# A\n\none\ntwo\n\n- x\n- y\n  more\n\n1. p\n2. q\n\n> said\n\n```js\n<b>\n```\n---'), [
    { kind: 'heading', level: 1, text: 'A' },
    { kind: 'paragraph', text: 'one\ntwo' },
    { kind: 'list', start: null, items: [[{ kind: 'paragraph', text: 'x' }], [{ kind: 'paragraph', text: 'y\nmore' }]] },
    { kind: 'list', start: 1, items: [[{ kind: 'paragraph', text: 'p' }], [{ kind: 'paragraph', text: 'q' }]] },
    { kind: 'quote', blocks: [{ kind: 'paragraph', text: 'said' }] },
    { kind: 'code', text: '<b>' },
    { kind: 'rule' },
  ]);
});

test('lists inside lists, tables, an open fence', () => {
  const [list] = blocks('- a\n  - b\n- c');
  assert.equal(list.items.length, 2);
  assert.equal(list.items[0][1].items[0][0].text, 'b');
  assert.deepEqual(blocks('| a | b |\n|---|:-:|\n| 1 | 2 |'), [{ kind: 'table', head: ['a', 'b'], rows: [['1', '2']] }]);
  assert.deepEqual(blocks('```\nno end'), [{ kind: 'code', text: 'no end' }]);
});

test('spans', () => {
  assert.deepEqual(inline('a **b** *c* `d*` ~~e~~ \\*f'), ['a ', { kind: 'strong', spans: ['b'] }, ' ', { kind: 'em', spans: ['c'] }, ' ', { kind: 'code', text: 'd*' }, ' ', { kind: 'del', spans: ['e'] }, ' ', '*', 'f']);
  assert.deepEqual(inline('[w](https://x.example/a_(b)) snake_case_name https://y.example.'), [
    { kind: 'link', href: 'https://x.example/a_(b)', spans: ['w'] }, ' snake_case_name ', { kind: 'link', href: 'https://y.example', spans: ['https://y.example'] }, '.']);
});

test('markup stays text, pictures become links, scripts lead nowhere', () => {
  assert.deepEqual(inline('<script>alert(1)</script>'), ['<script>alert(1)</script>']);
  assert.deepEqual(inline('![logo](https://x.example/a.png)'), [{ kind: 'link', href: 'https://x.example/a.png', spans: ['logo'] }]);
  for (const target of ['javascript:alert(1)', 'JaVaScRiPt:x', 'data:text/html,x', 'file:///etc/passwd', '#/keys', '//x.example', 'vbscript:x']) {
    assert.equal(leads(target), false, target);
    assert.ok(inline(`[w](${target})`).every((span) => typeof span === 'string'), target);
  }
});

test('hostile texts end soon', () => {
  const began = performance.now();
  for (const text of ['*'.repeat(50_000), '['.repeat(50_000), '`'.repeat(50_000), '_a'.repeat(25_000), '> '.repeat(20_000), '- '.repeat(20_000), '[](('.repeat(12_000), '\n'.repeat(100_000), `${'a|'.repeat(20_000)}\n-|-`]) {
    for (const block of blocks(text)) if (block.text) inline(block.text);
  }
  assert.ok(performance.now() - began < 20_000);
});
