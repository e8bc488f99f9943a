// Limits, changed while transfers run.

import * as api from './service.js';
import { find, icon, make, say, toast } from './dom.js';

const FIELDS = [
  ['requests', 'Requests at one time', 'over all transfers'],
  ['parts_per_transfer', 'Parts at one time', 'of one transfer'],
];

/** Of the service. */
const MOST = 256;

let dialog;

function build() {
  const inputs = FIELDS.map(([key, label, hint]) => make('div.field', {},
    make('label', { for: `limit-${key}` }, label),
    make('input', { type: 'number', id: `limit-${key}`, min: 1, max: MOST, step: 1, inputmode: 'numeric' }),
    make('small.hint', {}, hint)));
  const form = make('form', { id: 'limits-form', novalidate: true },
    make('header', {}, make('h2', { id: 'limits-title' }, 'Limits'),
      make('button.quiet', { type: 'button', 'aria-label': 'Close', onclick: () => dialog.close() }, icon('close'))),
    make('p.hint', {}, 'They hold at once, until the service ends; what is under way is not cut.'),
    make('div.pair', {}, ...inputs),
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
  for (const [key] of FIELDS) find(`#limit-${key}`).value = limits[key];
}

async function set() {
  const changes = {};
  for (const [key, label] of FIELDS) {
    const { value } = find(`#limit-${key}`);
    if (value === '') continue;
    if (!/^\d+$/.test(value) || Number(value) < 1 || Number(value) > MOST) {
      say(find('#limits-problem'), `${label}: 1 to ${MOST}`);
      return;
    }
    changes[key] = Number(value);
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
  dialog.showModal();
  try {
    show(await api.get('/v1/limits'));
  } catch (error) {
    say(find('#limits-problem'), error.message);
  }
}

export const start = () => find('#open-limits').addEventListener('click', open);
