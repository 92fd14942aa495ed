// Elements and lists as dom.js makes them, in the browser that runs them.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Browser, Server } from './harness.js';

let server;
let browser;
let page;
before(async () => {
  server = await Server.start();
  browser = await Browser.start();
  page = await browser.open(server, { signIn: false });
  await page.visit('');
});
after(async () => {
  await browser?.stop();
  await server?.stop();
});

/** Runs `work(dom)` in the page. */
const inPage = (work) => page.evaluate(`import('/ui/js/dom.js').then(${work})`);

test('text is text, whatever it looks like', async () => {
  const found = await inPage(`(dom) => {
    const node = dom.h('p', { title: '"><b>', class: ['a', false, 'b'], hidden: false, data: { x: '1', y: null } }, '<b>bold</b>', null, false, [0, ['&amp;']]);
    return [node.childElementCount, node.textContent, node.title, node.className, node.hasAttribute('hidden'), JSON.stringify(node.dataset)];
  }`);
  assert.deepEqual(found, [0, '<b>bold</b>0&amp;', '"><b>', 'a b', false, '{"x":"1"}']);
});

test('addresses that would run something are left out', async () => {
  const found = await inPage(`(dom) => ['javascript:alert(1)', ' JAVASCRIPT:alert(1)', 'data:text/html,x', 'vbscript:x', '#/x', '/x', 'https://x', 'mailto:x'].map((href) => dom.h('a', { href }).hasAttribute('href'))`);
  assert.deepEqual(found, [false, false, false, false, true, true, true, true]);
});

test('values are properties, so that forms show them', async () => {
  const found = await inPage(`(dom) => {
    const select = dom.h('select', { value: 'b' }, dom.h('option', { value: 'a' }), dom.h('option', { value: 'b' }));
    const box = dom.h('input', { type: 'checkbox', checked: true });
    return [select.value, box.checked, dom.h('input', { value: null }).value];
  }`);
  assert.deepEqual(found, ['b', true, '']);
});

test('a list that changes keeps its elements, their order and the focus', async () => {
  const found = await inPage(`(dom) => {
    const list = dom.h('ul');
    document.body.append(list);
    const make = (item) => dom.h('li', null, dom.h('input', { value: item.text }));
    const update = (node, item) => { node.dataset.seen = item.text; };
    const show = (...keys) => dom.keyed(list, keys.map((key) => ({ key, text: 't' + key })), (item) => item.key, make, update);
    show(1, 2, 3);
    const second = list.children[1];
    second.firstChild.focus();
    second.firstChild.value = 'typed';
    show(4, 2, 1);
    const answer = [[...list.children].map((node) => node.firstChild.value).join(), list.children[1] === second, document.activeElement === second.firstChild, second.dataset.seen, list.children[0].dataset.seen ?? null];
    show();
    answer.push(list.childElementCount);
    list.remove();
    return answer;
  }`);
  assert.deepEqual(found, ['t4,typed,t1', true, true, 't2', null, 0]);
});
