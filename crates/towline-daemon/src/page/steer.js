// Pause, resume, retry, cancel, remove: one, a selection, or all of a kind.

import * as api from './service.js';
import { ask, find, icon, make, toast } from './dom.js';
import * as queue from './queue.js';
import { VERBS, called, isFinal, verbs } from './rows.js';
import { count, plain } from './text.js';

const many = (number) => (number === 1 ? '1 transfer' : `${count(number)} transfers`);
const DONE = { pause: 'paused', resume: 'resumed', retry: 'retried', cancel: 'canceled', remove: 'removed' };
const LOSES = {
  cancel: 'What was moved so far is removed from S3 and the disk.',
  remove: 'The record is forgotten. Objects and files that were completed stay.',
};

/** Those of them that the verb is for. Canceled ones are revived one by one only. */
function meant(verb, transfers) {
  if (verb === 'remove') return transfers.filter(isFinal);
  if (verb === 'retry' && transfers.length > 1) return transfers.filter(({ state }) => state === 'failed');
  return transfers.filter((transfer) => verbs(transfer).includes(verb));
}

export async function steer(verb, transfers) {
  const those = meant(verb, transfers);
  if (those.length === 0) {
    toast(`Nothing here can be ${DONE[verb]}`);
    return;
  }
  if (LOSES[verb]) {
    const what = those.length === 1 ? called(those[0]) : many(those.length);
    if (!(await ask(`${VERBS[verb]} ${what}?`, LOSES[verb], VERBS[verb]))) return;
  }
  try {
    if (those.length === 1) {
      const [{ id }] = those;
      await (verb === 'remove' ? api.put('DELETE', `/v1/transfers/${id}`) : api.put('POST', `/v1/transfers/${id}/${verb}`));
      return;
    }
    const ids = those.map(({ id }) => id);
    told(verb, await api.put('POST', `/v1/transfers/${verb}`, { ids }));
    queue.unpick();
  } catch (error) {
    toast(`${VERBS[verb]}: ${error.message}`, 'bad');
  }
}

function told(verb, { transfers }) {
  const refused = transfers.filter(({ problem }) => problem);
  const changed = transfers.filter((one) => one.changed).length;
  if (refused.length) toast(`${many(refused.length)} not ${DONE[verb]}: ${refused[0].problem.detail}`, 'bad');
  toast(`${many(changed)} ${DONE[verb]}`);
}

const ALL = {
  pause: 'all that are unfinished',
  resume: 'all that are paused',
  retry: 'all that failed',
  cancel: 'all that are unfinished or paused',
  remove: 'all that have ended',
};

async function steerAll(verb) {
  find('#all-menu').open = false;
  if (queue.isSearched()) {
    toast('Clear the search first: it would not limit this');
    return;
  }
  const { type, bucket, group } = queue.scope();
  const kind = { upload: ' uploads', download: ' downloads', copy: ' copies' }[type] ?? ' transfers';
  const where = (bucket ? ` of the bucket ${bucket}` : '') + (group ? ` of the group ${plain(group)}` : '');
  const explanation = `This is for ${ALL[verb].replace('all', `all${kind}`)}${where}, on every page. ${LOSES[verb] ?? ''}`;
  const sure = ['cancel', 'remove'].includes(verb) ? await ask(`${VERBS[verb]} all?`, explanation, `${VERBS[verb]} all`) : true;
  if (!sure) return;
  try {
    told(verb, await api.put('POST', `/v1/transfers/${verb}`, { all: [{ type, bucket, group }] }));
  } catch (error) {
    toast(`${VERBS[verb]} all: ${error.message}`, 'bad');
  }
}

/** Of the selection, or else of the row with the focus. */
export function steerHere(verb) {
  const transfers = queue.picked.size ? [...queue.picked.values()] : [queue.current()?.transfer].filter(Boolean);
  if (transfers.length) steer(verb, transfers);
}

function showPicked() {
  const bar = find('#picked');
  bar.hidden = queue.picked.size === 0;
  if (bar.hidden) return;
  const transfers = [...queue.picked.values()];
  find('output', bar).textContent = `${count(transfers.length)} selected`;
  for (const button of bar.querySelectorAll('[data-verb]')) {
    button.disabled = meant(button.dataset.verb, transfers).length === 0;
  }
}

export function start() {
  const bar = find('#picked');
  bar.append(make('output', {}, ''), ...Object.keys(VERBS).map((verb) => make('button', {
    type: 'button', 'data-verb': verb, onclick: () => steer(verb, [...queue.picked.values()]),
  }, icon(verb), VERBS[verb])), make('button.quiet', { type: 'button', 'aria-label': 'Clear the selection', onclick: queue.unpick }, icon('close')));
  queue.onPicked(showPicked);
  find('#all-list').append(...Object.entries(ALL).map(([verb, what]) => make('button.quiet', {
    type: 'button', 'data-all': verb, onclick: () => steerAll(verb),
  }, icon(verb), make('span', {}, VERBS[verb], make('small', {}, what)))));
}
