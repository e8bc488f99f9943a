// Limits, changed while transfers run.

import * as api from './service.js';
import { find, icon, make, say, toast } from './dom.js';

const FIELDS = [
  ['requests', 'Requests at one time', 'over all transfers'],
  ['parts_per_transfer', 'Parts at one time', 'of one transfer; empty where it is automatic'],
];
const CAPS = [
  ['upload', 'Upload, MiB/s', 'over all transfers; empty: no cap'],
  ['download', 'Download, MiB/s', 'over all transfers; empty: no cap'],
];

/** Of the service. */
const MOST = 256;
const LEAST_RATE = 1024;
const MIB = 1048576;

let dialog;
/** What was shown: what was not changed is not set, and stays automatic where it is. */
let shown = {};

const field = (key, label, hint, attributes) => make('div.field', {},
  make('label', { for: `limit-${key}` }, label),
  make('input', { type: 'number', id: `limit-${key}`, ...attributes }),
  make('small.hint', {}, hint));

function build() {
  const whole = { min: 1, max: MOST, step: 1, inputmode: 'numeric' };
  const inputs = FIELDS.map(([key, label, hint]) => field(key, label, hint, whole));
  const rate = { min: 0.001, step: 'any', inputmode: 'decimal' };
  const caps = CAPS.map(([key, label, hint]) => field(key, label, hint, rate));
  const form = make('form', { id: 'limits-form', novalidate: true },
    make('header', {}, make('h2', { id: 'limits-title' }, 'Limits'),
      make('button.quiet', { type: 'button', 'aria-label': 'Close', onclick: () => dialog.close() }, icon('close'))),
    make('p.hint', {}, 'They hold at once, until the service ends; what is under way is not cut.'),
    make('div.pair', {}, ...inputs),
    make('div.pair', {}, ...caps),
    make('p.bad', { id: 'limits-problem', role: 'alert' }),
    make('div.row.end', {}, make('button', { type: 'button', onclick: () => dialog.close() }, 'Close'),
      make('button.primary', { type: 'submit' }, 'Set')));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    set();
  });
  dialog = make('dialog.sheet.small', { id: 'limits', 'aria-labelledby': 'limits-title' }, form);
  document.body.append(dialog);
}

function show(limits) {
  for (const [key] of FIELDS) {
    shown[key] = limits[key] === null ? '' : String(limits[key]);
    find(`#limit-${key}`).value = shown[key];
  }
  for (const [key] of CAPS) {
    const cap = limits.bandwidth[key];
    shown[key] = cap === null ? '' : String(Math.round((cap / MIB) * 1000) / 1000);
    find(`#limit-${key}`).value = shown[key];
  }
}

/** Bytes a second, or null for no cap; undefined where it is neither. */
function capOf(input) {
  if (input.validity.badInput) return undefined;
  if (input.value === '') return null;
  const bytes = Math.round(Number(input.value) * MIB);
  return bytes >= LEAST_RATE && bytes <= Number.MAX_SAFE_INTEGER ? bytes : undefined;
}

async function set() {
  const changes = {};
  for (const [key, label] of FIELDS) {
    const { value } = find(`#limit-${key}`);
    if (value === '' || value === shown[key]) continue;
    if (!/^\d+$/.test(value) || Number(value) < 1 || Number(value) > MOST) {
      say(find('#limits-problem'), `${label}: 1 to ${MOST}`);
      return;
    }
    changes[key] = Number(value);
  }
  for (const [key, label] of CAPS) {
    const input = find(`#limit-${key}`);
    if (input.value === shown[key] && !input.validity.badInput) continue;
    const cap = capOf(input);
    if (cap === undefined) {
      say(find('#limits-problem'), `${label}: 0.001 or more, or nothing`);
      return;
    }
    changes.bandwidth = { ...changes.bandwidth, [key]: cap };
  }
  try {
    show(await api.put('PATCH', '/v1/limits', changes));
    toast('The limits are set');
    dialog.close();
  } catch (error) {
    say(find('#limits-problem'), error.message);
  }
}

export async function open() {
  if (!dialog) build();
  say(find('#limits-problem'), '');
  shown = Object.fromEntries([...FIELDS, ...CAPS].map(([key]) => [key, find(`#limit-${key}`).value]));
  try {
    show(await api.get('/v1/limits'));
  } catch (error) {
    say(find('#limits-problem'), error.message);
  }
  // Not before: what is typed in the meantime would be written over.
  if (!dialog.open) dialog.showModal();
}

export const start = () => find('#open-limits').addEventListener('click', open);
