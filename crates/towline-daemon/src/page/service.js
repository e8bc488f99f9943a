// The service's HTTP API: requests with the token, problems as errors, the
// stream of events with its cursor.

const TOKEN = 'token';

/** RFC 9457, as an error. */
export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}
/** Nobody answered. */
export class Unreachable extends Error {}

export const token = () => sessionStorage.getItem(TOKEN);
export const forget = () => sessionStorage.removeItem(TOKEN);

let loggedOut = () => {};
export const onLoggedOut = (act) => { loggedOut = act; };

/** Takes the code out of the address before anything else, and trades it for the token. */
export async function login() {
  const code = new URLSearchParams(location.hash.slice(1)).get('code');
  if (code === null) return token() !== null;
  history.replaceState(null, '', location.pathname);
  const response = await fetch('/v1/login', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code }),
  });
  if (!response.ok) {
    forget();
    return false;
  }
  sessionStorage.setItem(TOKEN, (await response.json()).token);
  return true;
}

async function send(path, options = {}) {
  let response;
  try {
    response = await fetch(path, {
      ...options,
      headers: { ...options.headers, authorization: `Bearer ${token()}` },
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Unreachable('the service does not answer');
  }
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (response.status === 401) {
    forget();
    loggedOut();
  }
  throw problem;
}

async function problemOf(response) {
  return problem(response.status, await response.text().catch(() => ''));
}

function problem(status, body) {
  try {
    const { code, detail } = JSON.parse(body);
    return new Problem(status, code ?? `Http${status}`, detail ?? `HTTP ${status}`);
  } catch {
    return new Problem(status, `Http${status}`, `the service answered ${status}`);
  }
}

export async function get(path, fields = {}, signal = undefined) {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const query = new URLSearchParams(given).toString();
  return (await send(query ? `${path}?${query}` : path, { signal })).json();
}

export async function put(method, path, body = undefined) {
  // Also where there is no body: what changes something is never a form.
  const headers = method === 'DELETE' ? {} : { 'content-type': 'application/json' };
  return (await send(path, { method, headers, body: body && JSON.stringify(body) })).json();
}

export const parts = (id) => get(`/v1/transfers/${id}/parts`);
/** Oldest first, one for each second. */
export const throughput = async () => {
  const { up, down } = await get('/v1/throughput');
  return up.map((bytes, place) => ({ up: bytes, down: down[place] ?? 0 }));
};
export const profiles = async () => (await get('/v1/profiles')).profiles;
export const paths = async (under, signal) => (await get('/v1/paths', { under }, signal)).paths;
/** How a request names what was spooled. */
export const ofSpool = ({ path }) => ({ path });

/** Streams a file to the spool; `fetch` tells no progress of a body. */
export function spool(file, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('PUT', `/v1/spool?${new URLSearchParams({ name: file.name })}`);
    request.setRequestHeader('authorization', `Bearer ${token()}`);
    request.setRequestHeader('content-type', 'application/octet-stream');
    request.upload.addEventListener('progress', (event) => progress(event.loaded));
    request.addEventListener('load', () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(problem(request.status, request.responseText));
    });
    request.addEventListener('error', () => reject(new Unreachable('the connection to the service broke')));
    request.addEventListener('abort', () => reject(new DOMException('stopped', 'AbortError')));
    signal.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}

// The service says something at least every 15 s.
const SILENCE_MS = 45000;
const WAITS_MS = [200, 500, 1000, 2000, 3000];

/**
 * Follows all transfers from now on, and after a lost connection from the
 * cursor: no change is missed. `tell` has `transfer`, `group`, `removed`, `anew`
 * (the cursor is of no use: read everything), `up` and `down`.
 */
export async function follow(tell) {
  let cursor;
  let failures = 0;
  for (;;) {
    const quiet = new AbortController();
    const stop = () => quiet.abort();
    let timer = setTimeout(stop, SILENCE_MS);
    try {
      const path = cursor ? `/v1/events?after=${encodeURIComponent(cursor)}` : '/v1/events';
      const response = await send(path, { signal: quiet.signal });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      if (!cursor) tell.anew();
      let rest = '';
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        clearTimeout(timer);
        timer = setTimeout(stop, SILENCE_MS);
        const blocks = (rest + value).split('\n\n');
        rest = blocks.pop();
        for (const block of blocks) {
          const { event, data } = fields(block);
          if (event === 'transfer') tell.transfer(JSON.parse(data));
          else if (event === 'removed') tell.removed(JSON.parse(data));
          else if (event === 'group') tell.group(JSON.parse(data));
          else if (event === 'reached') {
            cursor = data;
            failures = 0;
            tell.up();
          }
        }
      }
    } catch (error) {
      if (error.status === 401) return;
      if (error.status === 410 || error.status === 400) cursor = undefined;
    } finally {
      clearTimeout(timer);
    }
    tell.down();
    const wait = WAITS_MS[Math.min(failures, WAITS_MS.length - 1)];
    failures += 1;
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

function fields(block) {
  const read = {};
  for (const line of block.split('\n')) {
    const colon = line.indexOf(': ');
    if (colon > 0) read[line.slice(0, colon)] = line.slice(colon + 2);
  }
  return read;
}
