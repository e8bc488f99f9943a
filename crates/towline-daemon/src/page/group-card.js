// One group: made once, then kept true.

import * as api from './service.js';
import { find, icon, make, say } from './dom.js';
import { VERBS } from './rows.js';
import { bytes, count, name, plain, state, words } from './text.js';

/** So many of what was left out are shown at a time. */
const PAGE = 20;
const WAYS = { upload: 'Upload', download: 'Download', copy: 'Copy' };

export const calledGroup = (group) => `group ${group.id}, ${plain(group.name)}`;

const isEnded = (group) => group.ended_at !== null;
const isCanceling = (group) => !isEnded(group) && group.listing === 'canceled';

/** What may be done with a group as it is. */
export function verbs(group) {
  if (isCanceling(group)) return [];
  const { paused, failed } = group.transfers;
  const retry = failed > 0 && group.state !== 'canceled' ? ['retry'] : [];
  if (isEnded(group)) return [...retry, 'remove'];
  if (group.state === 'paused') return ['resume', ...retry, 'cancel'];
  return ['pause', ...(paused > 0 ? ['resume'] : []), ...retry, 'cancel'];
}

/** Of what was listed so far; 100 only when all is done. */
function percent({ state: now, found, transfers }) {
  if (now === 'completed') return 100;
  const all = total(transfers);
  const share = found.bytes > 0 ? transfers.bytes_done / found.bytes : all > 0 ? transfers.completed / all : 0;
  return Math.min(99, Math.floor(100 * share));
}
const total = ({ going, paused, completed, canceled, failed }) => going + paused + completed + canceled + failed;

function numbers({ found, transfers, listing, ended_at: ended }) {
  const parts = [`${count(transfers.completed)} of ${count(total(transfers))} done`];
  for (const what of ['failed', 'canceled', 'paused']) {
    if (transfers[what] > 0) parts.push(`${count(transfers[what])} ${what}`);
  }
  if (found.skipped > 0) parts.push(`${count(found.skipped)} skipped`);
  parts.push(`${bytes(transfers.bytes_done)} of ${bytes(found.bytes)}`);
  const lists = listing === 'listing' && ended === null;
  parts.push(lists ? `${count(found.entries)} found so far` : `${count(found.entries)} found`);
  return parts.join(' · ');
}

function why(group) {
  if (isCanceling(group)) return ['canceling'];
  const { error } = group;
  return error ? [name(error.code), ': ', words(error.message)] : [];
}

export class GroupCard {
  #shownWhy = '';

  constructor(group, { open, steer }) {
    const called = calledGroup(group);
    this.open = make('button.open', { type: 'button', 'aria-pressed': 'false', onclick: () => open(this.group) },
      icon(group.type === 'download' ? 'down' : 'up'),
      make('span.unseen', {}, `Show only the transfers of group ${group.id}, ${WAYS[group.type]} `),
      make('span.number', { 'aria-hidden': 'true' }, String(group.id)),
      make('span.names', {}, name(group.name)));
    this.open.title = plain(group.name);
    this.badge = make('span.badge');
    this.why = make('span.why');
    this.acts = make('span.acts', { role: 'group', 'aria-label': `Actions on ${called}` });
    this.acts.addEventListener('click', (event) => {
      const verb = event.target.closest('[data-verb]')?.dataset.verb;
      if (verb) steer(verb, this);
    });
    this.bar = make('progress', { max: 100, 'aria-label': `Progress of ${called}` });
    this.share = make('span.share');
    this.numbers = make('span.numbers');
    this.leftOut = new LeftOut(group);
    this.element = make('li.group', { 'data-id': group.id, 'data-type': group.type },
      make('div.group-head', {}, this.open, this.badge, this.acts),
      make('span.bar-box', {}, this.bar, this.share),
      make('div.group-foot', {}, this.numbers, this.why), this.leftOut.element);
    this.element.card = this;
    this.show(group);
  }

  show(group) {
    this.group = group;
    const { element } = this;
    element.dataset.state = group.state;
    say(this.badge, state(group.state));
    const because = JSON.stringify([group.error, isCanceling(group)]);
    if (this.#shownWhy !== because) {
      this.#shownWhy = because;
      this.why.replaceChildren(...why(group));
    }
    const share = percent(group);
    this.bar.value = share;
    say(this.share, `${share} %`);
    say(this.numbers, numbers(group));
    this.leftOut.show(group.found.refused);
    const offered = verbs(group);
    const shape = offered.join();
    if (this.shape !== shape) {
      const focused = this.acts.contains(document.activeElement);
      this.shape = shape;
      this.acts.replaceChildren(...offered.map((verb) => make('button.quiet', {
        type: 'button', 'data-verb': verb, title: VERBS[verb], 'aria-label': `${VERBS[verb]} ${calledGroup(group)}`,
      }, icon(verb))));
      if (focused) (find('button', this.acts) ?? this.open).focus();
    }
  }

  /** Whether the queue shows its transfers alone. */
  mark(on) {
    this.open.setAttribute('aria-pressed', String(on));
  }

  /** While it is steered; what is canceled takes as long as the store takes. */
  busy(on) {
    if (on) this.element.setAttribute('aria-busy', 'true');
    else this.element.removeAttribute('aria-busy');
    for (const button of this.acts.children) button.disabled = on;
  }
}

/** What a group can have no transfers for, read when it is asked for. */
class LeftOut {
  #all = 0;
  #after = 0;

  constructor(group) {
    this.id = group.id;
    this.summary = make('summary', {});
    this.list = make('ol.left-list', { 'aria-label': `Left out by ${calledGroup(group)}` });
    this.say = make('span.hint', {});
    this.back = make('button', { type: 'button', onclick: () => this.#read(this.#after - PAGE) }, '‹ Back');
    this.on = make('button', { type: 'button', onclick: () => this.#read(this.#after + PAGE) }, 'Next ›');
    this.pages = make('div.row', {}, this.say, this.back, this.on);
    this.element = make('details.left-out', {}, this.summary, this.list, this.pages);
    this.element.addEventListener('toggle', () => {
      if (this.element.open) this.#read(this.#after);
    });
  }

  show(all) {
    if (this.#all === all && all > 0) return;
    this.#all = all;
    this.element.hidden = all === 0;
    say(this.summary, `${count(all)} left out`);
    if (this.element.open) this.#read(this.#after);
  }

  async #read(from) {
    const after = Math.max(0, from);
    this.#after = after;
    try {
      const { left_out: some, next } = await api.get(`/v1/groups/${this.id}/left-out`, { after, limit: PAGE });
      if (this.#after !== after) return;
      this.list.replaceChildren(...some.map((one) => make('li', {},
        name(one.path ?? one.key ?? '?'), ' ', make('span.hint', {}, name(one.code), ': ', words(one.why)))));
      say(this.say, some.length ? `${count(after + 1)}–${count(after + some.length)} of ${count(this.#all)}` : 'Of more, only the count is kept');
      this.back.disabled = after === 0;
      this.on.disabled = next === null;
      this.pages.hidden = after === 0 && next === null;
    } catch (error) {
      this.list.replaceChildren(make('li.bad', {}, `They cannot be read: ${error.message}`));
    }
  }
}
