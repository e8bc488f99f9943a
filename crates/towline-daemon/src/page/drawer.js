// One transfer in full: its parts or its proof, its errors, what happened.

import * as api from './service.js';
import { atMost, find, icon, make, say, toast } from './dom.js';
import { PartMap } from './parts.js';
import { WAYS, Speed, VERBS, called, isFinal, objectName, percent, verbs } from './rows.js';
import { PROOFS, bytes, count, duration, moment, name, plain, rate, reason, shortMoment, state, words } from './text.js';

const drawer = find('#drawer');
let shown; // { id, transfer, speed, map, parts… } while it is open.
let steer = () => {};
let returnTo;

export const isOpen = () => shown !== undefined;
export const recolor = () => shown?.map?.draw();

export function close() {
  if (!shown) return;
  shown = undefined;
  drawer.hidden = true;
  document.body.classList.remove('has-drawer');
  drawer.replaceChildren();
  if (returnTo?.isConnected) returnTo.focus();
}

export async function open(id) {
  if (shown?.id === id) return;
  if (!shown) returnTo = document.activeElement;
  const mine = { id, speed: new Speed() };
  shown = mine;
  let transfer;
  try {
    transfer = await api.get(`/v1/transfers/${id}`);
  } catch (error) {
    if (shown === mine) close();
    toast(`Transfer ${id}: ${error.message}`, 'bad');
    return;
  }
  if (shown !== mine) return;
  build(transfer);
  drawer.hidden = false;
  document.body.classList.add('has-drawer');
  show(transfer);
  history_(transfer.incidents);
  look();
  find('h2', drawer).focus();
}

function build(transfer) {
  const title = make('h2', { tabindex: -1 }, ...objectName(transfer));
  drawer.setAttribute('aria-label', called(transfer));
  const facts = make('dl.facts', { id: 'facts' });
  drawer.replaceChildren(
    make('header.drawer-head', {},
      make('div', {}, make('p.hint', {}, `${WAYS[transfer.type]} ${transfer.id}`), title),
      make('button.quiet', { type: 'button', id: 'close-drawer', 'aria-label': 'Close', title: 'Close (Esc)', onclick: close }, icon('close'))),
    make('div.drawer-state', {},
      make('span.badge', { id: 'd-state' }), make('span.why', { id: 'd-why' }),
      make('div.row.end', { id: 'd-acts' })),
    make('div.drawer-progress', {},
      make('progress', { id: 'd-bar', max: 100, 'aria-label': 'Progress' }),
      make('p.numbers', { id: 'd-numbers' })),
    make('section', { id: 'd-error', 'aria-label': 'Error' }),
    make('section', { id: 'd-parts', 'aria-labelledby': 'd-parts-title' }),
    make('section', {}, make('h3', {}, 'About'), facts),
    make('section', {}, make('h3', {}, 'Timeline'), make('ol.timeline', { id: 'd-timeline' })));
}

function fact(label, value) {
  if (value === null || value === undefined || value === '') return [];
  return [make('div', {}, make('dt', {}, label), make('dd', {}, value))];
}

function show(transfer) {
  const { speed } = shown;
  speed.saw(transfer);
  shown.transfer = transfer;
  drawer.dataset.state = transfer.state;
  say(find('#d-state'), state(transfer.state));
  say(find('#d-why'), reason(transfer));
  find('#d-bar').value = percent(transfer);
  numbers();
  const offered = verbs(transfer);
  if (shown.offered !== offered.join()) {
    shown.offered = offered.join();
    find('#d-acts').replaceChildren(...offered.map((verb) => make('button', {
      type: 'button', 'data-verb': verb, onclick: () => steer(verb, [shown.transfer]),
    }, icon(verb), VERBS[verb])));
  }
  find('#d-error').replaceChildren(...(transfer.error ? [error(transfer.error)] : []));
  find('#facts').replaceChildren(
    ...fact('Bucket', name(transfer.bucket)),
    ...fact('Key', name(transfer.key)),
    ...fact('Version', transfer.version_id && name(transfer.version_id)),
    ...fact('File', name(transfer.path || '(a stream)')),
    ...fact('Store', transfer.endpoint ? name(transfer.endpoint) : 'AWS'),
    ...fact('Group', transfer.group && name(transfer.group)),
    ...fact('Length', transfer.bytes_total === null ? 'not known yet' : `${bytes(transfer.bytes_total)} (${count(transfer.bytes_total)} bytes)`),
    ...fact('Start', transfer.generation > 1 ? `number ${transfer.generation}: it had to begin anew` : undefined),
    ...fact('Asked for', moment(transfer.created_at)),
    ...fact('Last change', moment(transfer.updated_at)));
}

function numbers() {
  const { transfer, speed } = shown;
  const moved = `${bytes(transfer.bytes_transferred)} of ${bytes(transfer.bytes_total)}`;
  const left = speed.left(transfer);
  const fast = transfer.state === 'in_progress' && speed.value > 0 ? ` · ${rate(speed.value)}` : '';
  say(find('#d-numbers'), `${percent(transfer)} % · ${moved}${fast}${Number.isFinite(left) ? ` · ${duration(left)} left` : ''}`);
}

function error(record) {
  return make('div.error', {},
    make('h3', {}, name(record.code)),
    make('p', {}, words(record.message)),
    make('dl.facts', {},
      ...fact('HTTP status', record.http_status && String(record.http_status)),
      ...fact('Request id', record.request_id && name(record.request_id)),
      ...fact('Host id', record.host_id && name(record.host_id)),
      ...fact('Failed attempts', record.attempts ? `${record.attempts} in a row` : undefined)));
}

function history_(incidents) {
  const { transfer } = shown;
  const happened = incidents.map(({ at, generation, part, error: record }) => ({
    at,
    what: [
      make('strong', {}, name(record.code)), ' ',
      make('span.hint', {}, [part ? `part ${part}` : '', generation > 1 ? `start ${generation}` : '',
        record.http_status ? `HTTP ${record.http_status}` : '', record.attempts ? `attempt ${record.attempts}` : ''].filter(Boolean).join(' · ')),
      make('p', {}, words(record.message)),
      record.request_id ? make('p.hint', {}, 'request ', name(record.request_id)) : null,
    ],
    kind: 'bad',
  }));
  const all = [{ at: transfer.created_at, what: ['Asked for'] }, ...happened,
    { at: transfer.updated_at, what: [state(transfer.state)], kind: transfer.state }];
  find('#d-timeline').replaceChildren(...all.map(({ at, what, kind }) => make('li', { 'data-kind': kind },
    make('time', { datetime: new Date(at).toISOString(), title: moment(at) }, shortMoment(at)), make('div', {}, ...what))));
}

async function proof(mine) {
  const { transfer } = mine;
  const section = find('#d-parts');
  mine.map = undefined;
  section.replaceChildren();
  if (transfer.state !== 'completed') return;
  const { proof: found } = await api.parts(mine.id);
  if (shown !== mine || mine.transfer !== transfer) return;
  section.replaceChildren(make('h3', { id: 'd-parts-title' }, 'Proof'),
    make('div.proof', {},
      make('p', {}, make('strong', {}, transfer.verified ?? 'none'), ' ', PROOFS[transfer.verified] ?? ''),
      make('dl.facts', {},
        ...fact('Checksum', found?.checksum && name(`${found.checksum[0]} ${found.checksum[2]}`)),
        ...fact('ETag', transfer.etag && name(transfer.etag)),
        ...fact('Version', found?.version_id && name(found.version_id)),
        ...fact('Outcome', transfer.outcome && plain(transfer.outcome)))));
}

/** Reads what events do not tell: parts and incidents. */
const look = atMost(1000, async () => {
  const mine = shown;
  if (!mine?.transfer) return;
  try {
    if (isFinal(mine.transfer)) {
      await proof(mine);
      return;
    }
    const { parts } = await api.parts(mine.id);
    if (shown !== mine || isFinal(mine.transfer) || parts.length === 0) return;
    if (!mine.map) {
      mine.map = new PartMap();
      find('#d-parts').replaceChildren(make('h3', { id: 'd-parts-title' }, 'Parts'), mine.map.element);
    }
    mine.map.show(parts);
  } catch {
    // The next event asks again.
  }
});

const lookBack = atMost(1000, async () => {
  const mine = shown;
  if (!mine) return;
  try {
    const transfer = await api.get(`/v1/transfers/${mine.id}`);
    if (shown === mine) history_(transfer.incidents);
  } catch {
    // It was removed, which an event tells.
  }
});

export function changed(transfer) {
  if (shown?.id !== transfer.id || !shown.transfer) return;
  const was = shown.transfer;
  show(transfer);
  look();
  const told = (one) => [one.state, one.generation, one.error?.attempts, one.error?.code].join();
  if (told(was) !== told(transfer)) lookBack();
}

export function removed(id) {
  if (shown?.id !== id) return;
  toast(`Transfer ${id} was removed`);
  close();
}

/** After a lost connection. */
export async function anew() {
  const mine = shown;
  if (!mine) return;
  try {
    const transfer = await api.get(`/v1/transfers/${mine.id}`);
    if (shown === mine) changed(transfer);
  } catch (error) {
    if (error.status === 404 && shown === mine) removed(mine.id);
  }
}

export function start(acts) {
  steer = acts.steer;
  setInterval(() => {
    if (shown?.transfer?.state === 'in_progress') {
      numbers();
      look();
    }
  }, 1000);
}
