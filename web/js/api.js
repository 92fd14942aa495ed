// The one place that talks to the server. Every dialect's error body becomes an ApiError {status, message, details}.
//
//   await api.get('/search', { query: { app_name: 'x' }, signal })
//   await api.post(path, json) · put · patch · del(path, { query, body })
//   await api.upload(path, FormData or Blob, { method, headers, progress(sent, total), signal })
//   await api.blob(path)                                    a file that needs the session, for saving
//
// The login goes along as `Authorization: Bearer`; nothing else has to be pasted anywhere. A 401 in the middle of a
// session calls `api.onExpired`; a server that cannot be reached calls `api.onOffline`, and `api.onOnline` once it
// answers again.

import { state } from './state.js';

export class ApiError extends Error {
  constructor(status, message, details = null) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.details = details;
  }
}

export const WORDS = {
  0: 'The server cannot be reached.',
  401: 'You are not signed in, or the session has ended.',
  403: 'You do not have access to this.',
  404: 'There is no such thing.',
  413: 'The file is too large for this server.',
  429: 'Too many attempts. Wait a little and try again.',
  503: 'The server is busy. Try again in a moment.',
  507: 'The disk of the server is full.',
};

export const api = {
  onExpired: null,
  onOffline: null,
  onOnline: null,
  get: (path, options) => call('GET', path, options),
  post: (path, body, options) => call('POST', path, { ...options, body }),
  put: (path, body, options) => call('PUT', path, { ...options, body }),
  patch: (path, body, options) => call('PATCH', path, { ...options, body }),
  del: (path, options) => call('DELETE', path, options),
  upload: async (...given) => (await import('./transfer.js')).upload(...given),
  blob: async (...given) => (await import('./transfer.js')).blob(...given),
};

/**
 * As `Promise.all`, but of several failures the one of the first in the list is told: a page asks first for what it is
 * about, and that this is gone explains why the rest was refused.
 */
export async function allOf(asked) {
  const done = await Promise.allSettled(asked);
  const failed = done.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
  return done.map((one) => one.value);
}

/** The path with its query; arrays give one pair each, empty values are left out. */
export function address(path, query) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== '') search.append(name, String(one));
    }
  }
  // A plus sign is a plus sign to most dialects, so a blank is written as %20.
  const text = search.toString().replaceAll('+', '%20');
  return text ? `${path}${path.includes('?') ? '&' : '?'}${text}` : path;
}

export function headers(given) {
  const all = { Accept: 'application/json', ...given };
  if (state.bearer) all.Authorization = `Bearer ${state.bearer}`;
  return all;
}

async function call(method, path, { query, body, signal, headers: given, quiet = false } = {}) {
  const init = { method, headers: headers(given), signal, cache: 'no-store', credentials: 'omit' };
  if (body instanceof FormData || body instanceof Blob || typeof body === 'string') init.body = body;
  else if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers['Content-Type'] = 'application/json';
  }
  const sent = state.bearer;
  let response;
  try {
    response = await fetch(address(path, query), init);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    api.onOffline?.();
    throw new ApiError(0, WORDS[0]);
  }
  api.onOnline?.();
  const value = read(await response.text(), response.headers.get('content-type'));
  return judge(response.status, value, sent, quiet);
}

export function read(text, type) {
  if (!text) return null;
  if (!/json/i.test(type ?? '')) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export function judge(status, value, sent, quiet) {
  if (status >= 200 && status < 300) return value;
  const error = new ApiError(status, message(status, value), value?.details ?? value?.errors ?? null);
  if (status === 401 && !quiet && sent && sent === state.bearer) api.onExpired?.(error);
  throw error;
}

/** The sentence of an error body, whichever dialect made it. */
export function message(status, value) {
  const texts = typeof value === 'string' ? [value] : [value?.error, value?.message, value?.Message, value?.detail, value?.title];
  // {"error": "not_found", "message": "There is no …"}: the second one is the sentence.
  const sentences = texts.filter((text) => typeof text === 'string' && text.trim());
  const found = sentences.find((text) => /\s/.test(text)) ?? sentences[0];
  if (found && found.length < 2000 && !found.trimStart().startsWith('<')) return found.trim();
  return WORDS[status] ?? `The server answered with status ${status}.`;
}
