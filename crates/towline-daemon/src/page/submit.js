// New transfers: of paths on the service's machine, and of files dropped here.

import * as api from './service.js';
import { find, icon, make, say, toast } from './dom.js';
import { PathField } from './paths.js';
import { bytes, name, plain, rate } from './text.js';

const LAST = 'towline-last-target';
/** Files that are taken at one time. */
const MOST = 1000;
let dialog;
let path;
let files = []; // { file, element, state, … }

const field = (label, input, hint) => {
  const id = `f-${label.toLowerCase().replace(/\W+/g, '-')}`;
  input.id = id;
  return make('div.field', {}, make('label', { for: id }, label), input, hint ? make('small.hint', {}, hint) : null);
};
const text = (attributes) => make('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', ...attributes });
const direction = () => find('input[name=direction]:checked', dialog).value;

function build() {
  path = new PathField();
  const way = (value, label, checked) => make('label', {},
    make('input', { type: 'radio', name: 'direction', value, checked, onchange: fit }), icon(value === 'upload' ? 'up' : 'down'), label);
  const chooser = make('input', { type: 'file', multiple: true, id: 'files', onchange: () => add([...chooser.files].map((file) => ({ file, path: file.name }))) });
  const form = make('form', { id: 'submit-form', novalidate: true },
    make('header', {}, make('h2', { id: 'submit-title' }, 'New transfer'),
      make('button.quiet', { type: 'button', 'aria-label': 'Close', onclick: () => dialog.close() }, icon('close'))),
    make('fieldset.ways', { id: 'ways' }, make('legend.unseen', {}, 'Direction'), way('upload', 'Upload', true), way('download', 'Download')),
    make('div.field', { id: 'path-field' }, make('label', { for: 'path' }, 'Path on the machine of the service'), path.element),
    make('div.files', { id: 'file-field' },
      make('label.choose', { for: 'files' }, 'Files of this browser: drop them anywhere, or choose'), chooser,
      make('ul.file-list', { id: 'file-list' })),
    make('div.pair', {},
      field('Bucket', text({ required: true })),
      field('Key', text({}), 'Ends with / or is empty: the name of the file is added')),
    make('div.pair', {},
      field('Profile', make('select'), 'Whose credentials, by the files of AWS'),
      field('If it exists', make('select'))),
    make('p.bad', { id: 'submit-problem', role: 'alert' }),
    make('div.row.end', {},
      make('button', { type: 'button', onclick: () => dialog.close() }, 'Close'),
      make('button.primary', { type: 'submit', id: 'submit-go' }, 'Submit')));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit();
  });
  dialog = make('dialog.sheet', { id: 'submit', 'aria-labelledby': 'submit-title' }, form);
  dialog.addEventListener('close', () => {
    if (!files.some(({ state }) => state === 'sending')) clear();
  });
  document.body.append(dialog);
  const last = JSON.parse(localStorage.getItem(LAST) ?? '{}');
  find('#f-bucket').value = last.bucket ?? '';
  find('#f-key').value = last.prefix ?? '';
}

/** What is asked for depends on the direction, and on whether there are files. */
function fit() {
  const up = direction() === 'upload';
  find('#path-field').hidden = files.length > 0;
  find('#ways').disabled = files.length > 0;
  find('#file-field').hidden = !up;
  const choice = (value, label) => make('option', { value }, label);
  const exists = find('#f-if-it-exists');
  const was = exists.value;
  exists.replaceChildren(...(up
    ? [choice('', 'Replace it'), choice('absent', 'Fail')]
    : [choice('overwrite', 'Replace it'), choice('fail', 'Fail'), choice('rename', 'Take another name'), choice('skip_if_identical', 'Skip if identical')]));
  if ([...exists.options].some(({ value }) => value === was)) exists.value = was;
  say(find('#submit-go'), files.length > 1 ? `Upload ${files.length} files` : up ? 'Upload' : 'Download');
}

async function profiles() {
  const select = find('#f-profile');
  const was = select.value;
  try {
    const names = await api.profiles();
    select.replaceChildren(make('option', { value: '' }, 'Default of the service'), ...names.map((one) => make('option', { value: one }, plain(one))));
    select.value = was;
  } catch {
    select.replaceChildren(make('option', { value: '' }, 'Default of the service'));
  }
}

export function open() {
  if (!dialog) build();
  if (!dialog.open) {
    say(find('#submit-problem'), '');
    dialog.showModal();
    profiles();
  }
  fit();
  (files.length ? find('#f-bucket') : path.input).focus();
}

// Requests.

const baseName = (whole) => whole.split('/').pop();
const keyOf = (base) => {
  const key = find('#f-key').value;
  return key === '' || key.endsWith('/') ? key + base : key;
};

function request(more) {
  const type = direction();
  const exists = find('#f-if-it-exists').value;
  const options = type === 'download' ? { when_target_exists: exists } : exists === 'absent' ? { if_absent: true } : {};
  const profile = find('#f-profile').value;
  return {
    type, bucket: find('#f-bucket').value.trim(), options, ...more,
    ...(profile ? { connection: { source: { profile } } } : {}),
  };
}

function remember() {
  const key = find('#f-key').value;
  const prefix = key.slice(0, key.lastIndexOf('/') + 1);
  localStorage.setItem(LAST, JSON.stringify({ bucket: find('#f-bucket').value.trim(), prefix }));
}

async function submit() {
  say(find('#submit-problem'), '');
  if (!find('#f-bucket').value.trim()) return refuse('Which bucket?', find('#f-bucket'));
  if (files.length) return sendFiles();
  const whole = path.input.value;
  if (!whole) return refuse('Which path?', path.input);
  const key = direction() === 'upload' ? keyOf(baseName(whole)) : find('#f-key').value;
  if (!key || (direction() === 'download' && key.endsWith('/'))) return refuse('Which key?', find('#f-key'));
  const target = direction() === 'download' && whole.endsWith('/') ? whole + baseName(key) : whole;
  find('#submit-go').disabled = true;
  try {
    const { transfers } = await api.put('POST', '/v1/transfers', { requests: [request({ key, path: target })] });
    remember();
    toast(`Accepted: transfer ${transfers[0].id}`);
    dialog.close();
    path.input.value = '';
  } catch (error) {
    refuse(error.message);
  } finally {
    find('#submit-go').disabled = false;
  }
}

function refuse(why, at) {
  say(find('#submit-problem'), plain(why));
  at?.focus();
}

// Files of the browser: streamed to the spool, then uploaded durably.

/** What was dropped, with the files of directories under their names there. */
async function dropped({ items }) {
  const entries = [...items].filter(({ kind }) => kind === 'file').map((item) => [item.webkitGetAsEntry(), item.getAsFile()]);
  const found = [];
  const walk = async (entry, file) => {
    if (found.length >= MOST) return;
    if (entry?.isDirectory) {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (some.length === 0) return;
        for (const one of some) await walk(one);
      }
    }
    const whole = file ?? (await new Promise((resolve, reject) => entry.file(resolve, reject)));
    found.push({ file: whole, path: entry?.fullPath.slice(1) || whole.name });
  };
  for (const [entry, file] of entries) await walk(entry, entry?.isDirectory ? undefined : file).catch(() => {});
  if (found.length >= MOST) toast(`The first ${MOST} files are taken`);
  return found;
}

function add(list) {
  for (const { file, path: base } of list) {
    const bar = make('progress', { max: Math.max(1, file.size), 'aria-label': `Sending ${plain(base)} to the service` });
    bar.value = 0;
    const one = { file, base, bar, state: 'new', stop: new AbortController(), said: make('span.hint', {}, bytes(file.size)) };
    one.element = make('li', {}, make('span.file-name', {}, name(base)), one.said, bar,
      make('button.quiet', { type: 'button', 'aria-label': `Leave out ${plain(base)}`, onclick: () => leaveOut(one) }, icon('close')));
    files.push(one);
    find('#file-list').append(one.element);
  }
  find('#files').value = '';
  fit();
}

function leaveOut(one) {
  one.stop.abort();
  files = files.filter((other) => other !== one);
  one.element.remove();
  fit();
}

function clear() {
  files = [];
  find('#file-list').replaceChildren();
  fit();
}

async function sendFiles() {
  const go = find('#submit-go');
  go.disabled = true;
  remember();
  let accepted = 0;
  const below = files.length > 1;
  for (const one of [...files]) {
    const wanted = one.state !== 'accepted' && !one.stop.signal.aborted;
    if (wanted && (await sendFile(one, below))) accepted += 1;
  }
  go.disabled = false;
  if (accepted) toast(accepted === 1 ? 'Accepted: 1 file' : `Accepted: ${accepted} files`);
  if (files.every(({ state }) => state === 'accepted')) {
    dialog.close();
    clear();
  }
}

async function sendFile(one, below) {
  const key = below && !find('#f-key').value.endsWith('/') && find('#f-key').value
    ? `${find('#f-key').value}/${one.base}` : keyOf(one.base);
  const begun = performance.now();
  one.state = 'sending';
  one.element.dataset.state = 'sending';
  try {
    const spooled = await api.spool(one.file, (sent) => {
      one.bar.value = sent;
      const fast = rate(sent / ((performance.now() - begun) / 1000));
      say(one.said, `${bytes(sent)} of ${bytes(one.file.size)} · ${fast}`);
    }, one.stop.signal);
    one.stop.signal.throwIfAborted();
    const { transfers } = await api.put('POST', '/v1/transfers', { requests: [request({ key, ...api.ofSpool(spooled) })] });
    one.state = 'accepted';
    one.bar.value = one.bar.max;
    say(one.said, `transfer ${transfers[0].id}`);
  } catch (error) {
    one.state = 'refused';
    say(one.said, error.name === 'AbortError' ? 'stopped' : plain(error.message));
  }
  one.element.dataset.state = one.state;
  return one.state === 'accepted';
}

export function start() {
  find('#open-submit').addEventListener('click', open);
  const veil = find('#drop');
  const hasFiles = (event) => api.token() && event.dataTransfer?.types.includes('Files');
  let depth = 0;
  document.addEventListener('dragenter', (event) => {
    if (!hasFiles(event)) return;
    depth += 1;
    veil.hidden = false;
  });
  document.addEventListener('dragleave', (event) => {
    if (!hasFiles(event)) return;
    depth = Math.max(0, depth - 1);
    veil.hidden = depth === 0;
  });
  document.addEventListener('dragover', (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  // A file is never opened instead of the page.
  document.addEventListener('drop', async (event) => {
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    if (!hasFiles(event)) return;
    const found = await dropped(event.dataTransfer);
    if (found.length === 0) return;
    if (!dialog) build();
    find('input[value=upload]', dialog).checked = true;
    add(found);
    open();
  });
}
