// How this box is doing, and what to do next.
import { h } from '../dom.js';
import { api } from '../api.js';
import { count } from '../format.js';
import { card, pageHead } from '../parts/page.js';
import { size } from '../parts/digest.js';

export const title = 'Overview';

export async function render(ctx) {
  const shown = await api.get('/ui/api/overview', { signal: ctx.signal });
  return h('div', { class: 'page' }, pageHead({ title, lead: count(shown.artifacts, 'artifact') }), card('Storage', {}, size(shown.stored)));
}
