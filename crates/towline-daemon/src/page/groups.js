// Groups that list their own transfers: those that are unfinished, and those that
// ended last. What changes is told by events; only then is a group counted anew.

import * as api from './service.js';
import { GroupCard, calledGroup, verbs } from './group-card.js';
import { announce, ask, atMost, find, say, toast } from './dom.js';
import * as queue from './queue.js';
import { VERBS } from './rows.js';
import { count, state } from './text.js';

const UNFINISHED = 20;
/** Of those that had their end, and for so long. */
const ENDED = 5;
const LATELY_MS = 24 * 60 * 60 * 1000;
/** Counting looks at each transfer: it is done for a small share of the time. */
const APART = 20;

const list = find('#group-list');
const cards = new Map();
/** Those whose counts may have changed. */
const stale = new Set();

const isEnded = (group) => group.ended_at !== null;
const isLate = (group) => Date.now() - group.ended_at < LATELY_MS;

function take(group) {
  const card = cards.get(group.id);
  if (!card) {
    cards.set(group.id, new GroupCard(group, { open, steer }));
    return;
  }
  const was = card.group;
  if (isEnded(was) && !isEnded(group)) return; // It was asked for before its end.
  card.show(group);
  // Its own end comes after those of all its transfers, and is not to be lost among them.
  if (was.state !== group.state) announce(`${calledGroup(group)}: ${state(group.state)}`, { leads: true });
}

function drop(id) {
  const card = cards.get(id);
  if (!card) return;
  cards.delete(id);
  stale.delete(id);
  if (card.element.contains(document.activeElement)) {
    find('.open', card.element.nextElementSibling ?? card.element.previousElementSibling ?? list)?.focus();
  }
  card.element.remove();
}

/** Unfinished ones first, the newest first of each. */
function arrange() {
  const all = [...cards.values()].sort((a, b) =>
    isEnded(a.group) - isEnded(b.group) || b.group.id - a.group.id);
  const ended = all.filter(({ group }) => isEnded(group));
  for (const [place, { group }] of ended.entries()) {
    if (place >= ENDED || !isLate(group)) drop(group.id);
  }
  const kept = all.filter(({ group }) => cards.has(group.id));
  let place = list.firstElementChild;
  for (const { element } of kept) {
    if (element === place) place = place.nextElementSibling;
    else list.insertBefore(element, place);
  }
  find('#groups').hidden = cards.size === 0;
  const unfinished = kept.filter(({ group }) => !isEnded(group)).length;
  say(find('#groups-say'), unfinished ? `${count(unfinished)} unfinished` : '');
  mark(queue.group());
}

/** Reads all that is shown anew. */
const load = atMost(1000, async () => {
  const begun = performance.now();
  try {
    const unfinished = await api.get('/v1/groups', { unended: true, newest_first: true, limit: UNFINISHED });
    const newest = await api.get('/v1/groups', { newest_first: true, limit: ENDED });
    const found = [...unfinished.groups, ...newest.groups];
    const ids = new Set(found.map(({ id }) => id));
    for (const id of [...cards.keys()]) if (!ids.has(id)) drop(id);
    for (const group of found) take(group);
    arrange();
    find('#groups-more').hidden = unfinished.next === null;
  } catch {
    // What was last known stays; the next connection reads it anew.
  }
  await apart(begun);
});

const recount = atMost(1000, async () => {
  const begun = performance.now();
  for (const id of [...stale]) {
    stale.delete(id);
    try {
      take(await api.get(`/v1/groups/${id}`));
    } catch (error) {
      if (error.status === 404) drop(id);
    }
  }
  arrange();
  await apart(begun);
});

const apart = (begun) => new Promise((resolve) => {
  setTimeout(resolve, APART * (performance.now() - begun));
});

// What events tell.

export function changed(group) {
  take(group);
  arrange();
}

/** A transfer has changed, and with it the counts of its group. */
export function counted(transfer) {
  if (!transfer.group) return;
  for (const { group } of cards.values()) if (group.name === transfer.group) stale.add(group.id);
  if (stale.size) recount();
}

/** Of which group it was is not told. */
export function removed() {
  if (cards.size === 0) return;
  for (const id of cards.keys()) stale.add(id);
  recount();
}

export const anew = () => load();

// What is done with them.

function open(group) {
  queue.showGroup(queue.group() === group.name ? undefined : group.name);
}

function mark(name) {
  for (const card of cards.values()) card.mark(card.group.name === name);
}

export function focus() {
  find('.open', list)?.focus();
}

const LOSES = {
  cancel: 'It lists nothing more. Its unfinished transfers are canceled, and what was moved of them is removed. What was completed stays.',
  remove: 'It and the records of its transfers are forgotten; unfinished ones are canceled first. Objects and files that were completed stay.',
};

async function steer(verb, card) {
  const { group } = card;
  if (LOSES[verb] && !(await ask(`${VERBS[verb]} ${calledGroup(group)}?`, LOSES[verb], VERBS[verb]))) return;
  card.busy(true);
  try {
    if (verb === 'retry') {
      const { transfers } = await api.put('POST', '/v1/transfers/retry', { all: [{ group: group.name }] });
      toast(`${count(transfers.filter((one) => one.changed).length)} of its transfers retried`);
    } else {
      const { group: now } = await api.put('POST', `/v1/groups/${group.id}/${verb}`, {});
      if (now) take(now);
      else drop(group.id);
      arrange();
    }
  } catch (error) {
    toast(`${VERBS[verb]}: ${error.message}`, 'bad');
  }
  card.busy(false);
}

/** Of the group with the focus; whether there is one. */
export function steerHere(verb) {
  const card = document.activeElement.closest('.group')?.card;
  if (!card) return false;
  if (verbs(card.group).includes(verb)) steer(verb, card);
  else toast(`Nothing of this group to ${verb}`);
  return true;
}

export function start() {
  queue.onGroup(mark);
}
