// Numbers, sizes, times and digests as people read them. Pure: the time of day is an argument where it counts.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const NUMBER = new Intl.NumberFormat('en');

/** `1,234`. */
export function number(value) {
  return Number.isFinite(value) ? NUMBER.format(value) : '–';
}

/** `3.4 MiB`: binary units, one decimal from KiB on. */
export function bytes(value) {
  if (!Number.isFinite(value) || value < 0) return '–';
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  // 1023.96 KiB would be shown as 1024.0.
  if (unit > 0 && unit < UNITS.length - 1 && value >= 1023.95) {
    value /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${UNITS[unit]}`;
}

/** `2 files`, `1 file`. */
export function count(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/** `47 %`, never 100 % before all is done nor 0 % after something was. */
export function percent(part, whole) {
  if (!(whole > 0)) return '0 %';
  const share = (part / whole) * 100;
  if (share > 0 && share < 1) return '< 1 %';
  return `${share >= 100 ? 100 : Math.min(99, Math.round(share))} %`;
}

const STEPS = [
  [60, 1, 'second'],
  [3600, 60, 'minute'],
  [86400, 3600, 'hour'],
  [86400 * 14, 86400, 'day'],
  [86400 * 60, 86400 * 7, 'week'],
  [86400 * 730, 86400 * 30.44, 'month'],
  [Infinity, 86400 * 365.25, 'year'],
];

/** `4 minutes ago`, `in 2 days`, `just now`. Both in milliseconds since 1970. */
export function ago(time, now = Date.now()) {
  const seconds = (now - time) / 1000;
  const size = Math.abs(seconds);
  if (!Number.isFinite(size)) return 'never';
  if (size < 10) return 'just now';
  const [, unit, word] = STEPS.find(([limit]) => size < limit);
  const text = count(Math.max(1, Math.round(size / unit)), word);
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

/** `21 Nov 2026, 12:41:59` in the zone of whoever looks. */
export function exact(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return '–';
  return date.toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
}

/** Milliseconds from what the dialects answer: RFC 3339 text, or seconds, or milliseconds. NaN for anything else. */
export function instant(value) {
  if (typeof value === 'number') return value > 1e11 ? value : value * 1000;
  return typeof value === 'string' ? Date.parse(value) : Number.NaN;
}

/** `4 s`, `3 min 20 s`, `2 h 5 min`. In seconds. */
export function duration(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return '–';
  if (seconds < 1) return '< 1 s';
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
}

/** The first twelve characters of a digest. */
export function short(digest) {
  return String(digest).slice(0, 12);
}

/** A long text with its middle left out; its ends say most in file names. */
export function middle(text, length = 48) {
  const points = [...String(text)];
  if (points.length <= length) return points.join('');
  const half = (length - 1) / 2;
  return `${points.slice(0, Math.ceil(half)).join('')}…${points.slice(points.length - Math.floor(half)).join('')}`;
}

/** `deb, rpm and msi`. */
export function words(items) {
  if (items.length < 2) return items.join('');
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
