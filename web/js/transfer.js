// Bytes on their way: uploads with progress, files that need the session, and handing them to the browser's own saving.
// Fetched with the first of them (`api.upload`, `api.blob` in api.js).
import { ApiError, address, api, headers, judge, read } from './api.js';
import { state } from './state.js';

export function upload(path, body, { method = 'POST', query, headers: given, progress, signal } = {}) {
  const sent = state.bearer;
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, address(path, query));
    for (const [name, value] of Object.entries(headers(given))) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress?.(event.loaded, event.lengthComputable ? event.total : undefined);
    request.onload = () => {
      api.onOnline?.();
      try {
        resolve(judge(request.status, read(request.responseText, request.getResponseHeader('content-type')), sent, false));
      } catch (error) {
        reject(error);
      }
    };
    request.onerror = () => reject(new ApiError(0, 'The connection broke off.'));
    request.onabort = () => reject(new DOMException('cancelled', 'AbortError'));
    signal?.addEventListener('abort', () => request.abort(), { once: true });
    if (signal?.aborted) reject(new DOMException('cancelled', 'AbortError'));
    else request.send(body);
  });
}

export async function blob(path, { query, signal } = {}) {
  const sent = state.bearer;
  const response = await fetch(address(path, query), { headers: headers(), signal, credentials: 'omit' });
  if (!response.ok) return judge(response.status, read(await response.text(), response.headers.get('content-type')), sent, false);
  return response.blob();
}

/** Hands a blob to the browser's own saving. */
export function save(data, name) {
  const href = URL.createObjectURL(data);
  const anchor = document.createElement('a');
  anchor.href = href;
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
