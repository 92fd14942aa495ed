// Numbers, sizes, times as people read them.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as format from '../../../web/js/format.js';

const table = (name, cases, work) => test(name, () => { for (const [input, expected] of cases) assert.equal(work(input), expected, String(input)); });

table('sizes', [[0, '0 B'], [1023, '1023 B'], [1024, '1.0 KiB'], [1536, '1.5 KiB'], [1048575, '1.0 MiB'], [1073741824, '1.0 GiB'], [2 ** 53, '8.0 PiB'], [-1, '–'], [Number.NaN, '–'], [undefined, '–']], format.bytes);
table('numbers', [[0, '0'], [1234567, '1,234,567'], [Number.NaN, '–']], format.number);
table('durations', [[0.2, '< 1 s'], [4, '4 s'], [59.6, '1 min'], [200, '3 min 20 s'], [3600, '1 h'], [7500, '2 h 5 min'], [-1, '–']], format.duration);
table('shares', [[[0, 10], '0 %'], [[1, 1000], '< 1 %'], [[999, 1000], '99 %'], [[10, 10], '100 %'], [[1, 0], '0 %']], ([part, whole]) => format.percent(part, whole));

test('times are relative to the time of day', () => {
  const now = Date.UTC(2026, 10, 21, 12);
  const cases = [[-3, 'just now'], [-42, '42 seconds ago'], [-60, '1 minute ago'], [-3600 * 5, '5 hours ago'], [-86400 * 3, '3 days ago'], [-86400 * 30, '4 weeks ago'], [-86400 * 400, '13 months ago'], [-86400 * 1000, '3 years ago'], [120, 'in 2 minutes']];
  for (const [seconds, expected] of cases) assert.equal(format.ago(now + seconds * 1000, now), expected);
  assert.equal(format.ago(Number.NaN, now), 'never');
});

test('instants of every dialect', () => {
  assert.equal(format.instant('2026-11-21T12:00:00Z'), Date.UTC(2026, 10, 21, 12));
  assert.equal(format.instant(1_800_000_000), 1_800_000_000_000);
  assert.equal(format.instant(1_800_000_000_000), 1_800_000_000_000);
  assert.ok(Number.isNaN(format.instant(null)));
});

test('the middle of long names is left out, whole characters stay', () => {
  assert.equal(format.middle('short'), 'short');
  const cut = format.middle('👩‍🚀'.repeat(100), 9);
  assert.equal([...cut].length, 9);
  assert.ok(!cut.includes('\ufffd'));
  assert.equal(format.words(['deb', 'rpm', 'msi']), 'deb, rpm and msi');
});
