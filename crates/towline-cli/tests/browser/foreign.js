// What a page of another origin may try. Gives what each attempt came to.
window.attempt = async (service, token) => {
  const path = (rest) => `${service}v1/${rest}`;
  const bearer = { authorization: `Bearer ${token}` };
  const json = { 'content-type': 'application/json' };
  const all = JSON.stringify({ all: [{}] });
  const read = async (...request) => {
    const response = await fetch(...request);
    return response.type === 'opaque' ? 'opaque' : `READ ${response.status} ${await response.text()}`;
  };
  const load = (element, address) => new Promise((resolve, reject) => {
    element.onload = () => resolve('READ');
    element.onerror = () => reject(new Error('not loaded'));
    if (element.tagName === 'LINK') Object.assign(element, { rel: 'stylesheet', href: address });
    else element.src = address;
    document.body.append(element);
  });
  const form = (address, kind, value) => new Promise((resolve) => {
    const frame = document.body.appendChild(document.createElement('iframe'));
    frame.name = `frame-${document.querySelectorAll('iframe').length}`;
    const sent = document.body.appendChild(document.createElement('form'));
    Object.assign(sent, { method: 'post', action: address, enctype: kind, target: frame.name });
    const field = sent.appendChild(document.createElement('input'));
    Object.assign(field, { name: value.slice(0, -1), value: value.slice(-1) });
    frame.onload = () => {
      try {
        resolve(frame.contentDocument?.URL === 'about:blank' ? undefined : `READ ${frame.contentDocument.body.innerText}`);
      } catch (error) {
        resolve(error.name);
      }
      setTimeout(() => resolve('not readable'), 1000);
    };
    sent.submit();
  });
  const attempts = {
    'fetch': () => read(path('transfers')),
    'fetch with the token': () => read(path('transfers'), { headers: bearer }),
    'fetch of events with the token': () => read(path('events'), { headers: bearer }),
    'fetch of the page': () => read(service),
    'no-cors GET': () => read(path('transfers'), { mode: 'no-cors' }),
    'no-cors GET of a verb': () => read(path('transfers/1/cancel'), { mode: 'no-cors' }),
    'no-cors POST': () => read(path('transfers/1/cancel'), { mode: 'no-cors', method: 'POST', body: '{}' }),
    'no-cors POST for all': () => read(path('transfers/cancel'), { mode: 'no-cors', method: 'POST', body: all }),
    'POST with the token': () => read(path('transfers/1/cancel'), { method: 'POST', headers: { ...bearer, ...json }, body: '{}' }),
    'POST for all with the token': () => read(path('transfers/remove'), { method: 'POST', headers: { ...bearer, ...json }, body: all }),
    'DELETE with the token': () => read(path('transfers/2'), { method: 'DELETE', headers: bearer }),
    'PATCH of the limits with the token': () => read(path('limits'), { method: 'PATCH', headers: { ...bearer, ...json }, body: '{"requests":1}' }),
    'PUT to the spool with the token': () => read(path('spool?name=x'), { method: 'PUT', headers: { ...bearer, 'content-type': 'application/octet-stream' }, body: 'x' }),
    'login': () => read(path('login'), { method: 'POST', headers: json, body: '{"code":"x"}' }),
    'cookies': () => read(path('transfers'), { credentials: 'include' }),
    'form': () => form(path('transfers/cancel'), 'text/plain', all),
    'form of one': () => form(path('transfers/1/cancel'), 'application/x-www-form-urlencoded', '{}'),
    'beacon': () => navigator.sendBeacon(path('transfers/cancel'), all) && 'sent',
    'image': () => load(new Image(), path('transfers/1/cancel')),
    'script': () => load(document.createElement('script'), path('transfers')),
    'script of the page': () => load(document.createElement('script'), `${service}app.js`),
    'style sheet': () => load(document.createElement('link'), `${service}style.css`),
    'module': () => import(`${service}service.js`).then(() => 'READ'),
    'event source': () => new Promise((resolve, reject) => {
      const source = new EventSource(path('events'));
      source.onopen = () => resolve('READ');
      source.onerror = () => {
        source.close();
        reject(new Error('not opened'));
      };
    }),
    'web socket': () => new Promise((resolve, reject) => {
      const socket = new WebSocket(path('events').replace('http', 'ws'));
      socket.onopen = () => resolve('READ');
      socket.onerror = () => reject(new Error('not opened'));
    }),
    'frame': () => new Promise((resolve) => {
      const frame = document.createElement('iframe');
      frame.id = 'framed';
      frame.onload = () => {
        try {
          resolve(`READ ${frame.contentWindow.document.title} ${frame.contentWindow.sessionStorage.length}`);
        } catch (error) {
          resolve(error.name);
        }
      };
      frame.src = service;
      document.body.append(frame);
    }),
    'frame of no origin': () => new Promise((resolve) => {
      const frame = document.createElement('iframe');
      frame.setAttribute('sandbox', 'allow-scripts');
      const request = JSON.stringify([path('transfers/1/cancel'), { method: 'POST', headers: { ...bearer, ...json }, body: '{}' }]);
      frame.srcdoc = `<script>fetch(...${request}).then((r) => 'READ ' + r.status, (e) => e.name).then((m) => parent.postMessage(m, '*'))</script>`;
      addEventListener('message', (event) => resolve(event.data), { once: true });
      document.body.append(frame);
    }),
  };
  const results = {};
  for (const [name, act] of Object.entries(attempts)) {
    const silence = new Promise((resolve) => setTimeout(resolve, 5000, 'nothing came'));
    results[name] = await Promise.race([Promise.resolve().then(act), silence]).catch((error) => `refused: ${error.name}`);
  }
  return results;
};
