// Addresses and the pages behind them.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ROUTES, link, match } from '../../../web/js/router.js';

test('addresses find their pages', () => {
  const cases = [['', 'overview', {}], ['#/', 'overview', {}], ['#/catalog?kind=deb', 'catalog', {}], ['#/artifact/ab12', 'artifact', { digest: 'ab12' }], ['#/windows/clients', 'windows-clients', {}], ['#/windows/Vendor.App', 'windows-package', { id: 'Vendor.App' }], ['#/refpacks/vendor%2Fname', 'refpack', { id: 'vendor/name' }], ['#/apps/a%20b/stable/1.0', 'release', { app: 'a b', channel: 'stable', version: '1.0' }]];
  for (const [hash, page, params] of cases) {
    const found = match(hash);
    assert.equal(found.route?.page, page, hash);
    assert.deepEqual({ ...found.params }, params, hash);
  }
  for (const hash of ['#/nope', '#/artifact/', '#/artifact/%zz', '#/catalog/', '#x']) assert.equal(match(hash).route, null, hash);
  assert.equal(match('#/catalog?q=a%20b%3D').query.get('q'), 'a b=');
});

test('links lead back', () => {
  for (const name of ['<script>alert(1)</script>', 'a/b', '../x', 'ä 💡', '?#&=%']) {
    const { params, query } = match(link('/products/:name', { name }, { q: name, empty: '', off: false, none: null }));
    assert.equal(params.name, name);
    assert.deepEqual([...query], [['q', name]]);
  }
});

test('patterns are told apart', () => {
  const patterns = ROUTES.map((route) => route.pattern);
  assert.equal(new Set(patterns).size, patterns.length);
  for (const route of ROUTES) assert.ok(['open', 'team', 'owner', 'operator'].includes(route.who), route.pattern);
});

