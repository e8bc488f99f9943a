// The queue: a page of it at a time, as many rows as fit one page, whatever the
// number of transfers. What changes is told by events.

import * as api from './service.js';
import { announce, atMost, find, icon, make, say } from './dom.js';
import { Row, called } from './rows.js';
import { count, name as nameOf, plain, state } from './text.js';

const PAGE = 100;
const ACTIVE = ['waiting', 'in_progress', 'waiting_for_network'];
const TABS = [
  ['all', 'All', []],
  ['active', 'Active', ACTIVE],
  ['paused', 'Paused', ['paused']],
  ['failed', 'Failed', ['failed']],
  ['completed', 'Completed', ['completed']],
  ['canceled', 'Canceled', ['canceled']],
];

const body = find('#rows');
const rows = new Map();
/** Selected ones, with what was last known of them, also on other pages. */
export const picked = new Map();
const filter = { tab: 'all', type: '', bucket: '', group: undefined, search: '', newest: true };
/** Where the pages before this one began. */
let before = [];
let after;
let next = null;
let counts = {};
let asked = new AbortController();
let listening = () => {};

/** `act({ picked })` after every change of the selection, `open(id)` for the drawer. */
export function onPicked(act) { listening = act; }

export const scope = () => ({ type: filter.type || undefined, bucket: filter.bucket || undefined, group: filter.group });
export const group = () => filter.group;
export const isSearched = () => filter.search !== '';
const isNarrowed = () => filter.type || filter.bucket || filter.group !== undefined || filter.search;

/** How long the last look took, or takes: a search through a million is not repeated for every change. */
let tookMs = 0;
let looking = false;
/** Reads the page anew, at most once a second, for changes that come by themselves. */
const refresh = atMost(1000, () => (looking || tookMs > 500 ? undefined : load(true)));

async function load(quietly = false) {
  const begun = performance.now();
  looking = true;
  asked.abort();
  asked = new AbortController();
  const { signal } = asked;
  const busy = setTimeout(() => {
    if (quietly) return;
    find('#transfers').setAttribute('aria-busy', 'true');
    say(find('#page-say'), 'Looking…');
  }, 300);
  try {
    const states = TABS.find(([key]) => key === filter.tab)[2];
    let from = after;
    const found = [];
    let requests = 0;
    // The service looks at so many of them at a time, however few it finds.
    do {
      const some = await api.get('/v1/transfers', {
        state: states.join(','), ...scope(), search: filter.search,
        newest_first: filter.newest, after: from, limit: PAGE - found.length,
      }, signal);
      found.push(...some.transfers);
      requests += 1;
      from = some.next;
      if (!quietly || from === null || found.length >= PAGE) show(found, from);
    } while (from !== null && found.length < PAGE);
    tookMs = requests > 1 ? performance.now() - begun : 0;
  } catch (error) {
    if (error.name === 'AbortError') return;
    if (!quietly && error.status) empty(`The queue cannot be read: ${error.message}`);
  } finally {
    clearTimeout(busy);
    if (!signal.aborted) {
      find('#transfers').removeAttribute('aria-busy');
      looking = false;
    }
  }
}

function show(found, more) {
  next = more;
  const wanted = new Set(found.map(({ id }) => id));
  for (const [id, row] of rows) {
    if (wanted.has(id)) continue;
    leave(row);
    rows.delete(id);
  }
  let place = body.firstElementChild;
  for (const transfer of found) {
    let row = rows.get(transfer.id);
    if (!row) {
      row = new Row(transfer, picked.has(transfer.id));
      rows.set(transfer.id, row);
    } else if (transfer.updated_at >= row.transfer.updated_at) {
      row.show(transfer);
    }
    if (row.element === place) place = place.nextElementSibling;
    else body.insertBefore(row.element, place);
  }
  const filtered = filter.tab !== 'all' || isNarrowed();
  find('#empty').hidden = rows.size > 0;
  if (rows.size === 0) empty(more !== null ? 'Looking…' : filtered ? 'No transfer is like this' : undefined);
  pages();
  allPicked();
}

function leave({ element }) {
  // Whoever stood there goes on from the row that takes its place.
  if (element.contains(document.activeElement)) {
    (element.nextElementSibling ?? element.previousElementSibling)?.row.open.focus();
  }
  element.remove();
}

function empty(sentence) {
  const place = find('#empty');
  place.hidden = false;
  if (sentence) {
    place.replaceChildren(make('p', {}, sentence));
    return;
  }
  place.replaceChildren(
    make('h3', {}, 'Nothing to tow'),
    make('p', {}, 'Drop files here, press ', make('kbd', {}, 'n'), ', or in a terminal:'),
    make('pre', {}, make('code', {}, 'towline upload FILE s3://BUCKET/KEY --detach')));
}

function pages() {
  find('#page-back').disabled = before.length === 0;
  find('#page-on').disabled = next === null;
  const first = before.length * PAGE + 1;
  const last = first + rows.size - 1;
  const total = isNarrowed() ? undefined : tabCount(filter.tab);
  const of = total === undefined ? (next === null ? '' : ' of more') : ` of ${count(Math.max(total, last))}`;
  say(find('#page-say'), rows.size ? `${count(first)}–${count(last)}${of}` : '');
}

function begin() {
  before = [];
  after = undefined;
  return load();
}

function turn(on) {
  if (on && next !== null) {
    before.push(after);
    after = next;
  } else if (!on && before.length) {
    after = before.pop();
  } else {
    return;
  }
  find('.table-box').scrollTop = 0;
  load();
}
export const pageOn = () => turn(true);
export const pageBack = () => turn(false);

// Tabs and their numbers.

function tabCount(tab) {
  const states = TABS.find(([key]) => key === tab)[2];
  const of = states.length ? states : Object.keys(counts);
  if (Object.keys(counts).length === 0) return undefined;
  return of.reduce((sum, one) => sum + (counts[one] ?? 0), 0);
}

const readCounts = atMost(2000, async () => {
  try {
    counts = await api.get('/v1/counts');
  } catch {
    return; // The tabs keep the last that is known.
  }
  for (const [tab] of TABS) say(find(`#tab-${tab} .count`), count(tabCount(tab) ?? 0));
  const active = tabCount('active');
  document.title = active ? `${count(active)} active · Towline` : 'Towline';
  pages();
});

export function tab(which) {
  const key = TABS[which]?.[0];
  if (!key) return;
  filter.tab = key;
  for (const [other] of TABS) {
    if (other === key) find(`#tab-${other}`).setAttribute('aria-current', 'true');
    else find(`#tab-${other}`).removeAttribute('aria-current');
  }
  unpick();
  begin();
}

let grouped = () => {};
/** `act(name)` whenever the queue shows another group, or again all. */
export function onGroup(act) { grouped = act; }

/** Shows the transfers of a group alone; without a name again all. */
export function showGroup(name) {
  if (filter.group === name) return;
  filter.group = name;
  const clear = find('#filter-group');
  if (name === undefined && document.activeElement === clear) find('#search').focus();
  clear.hidden = name === undefined;
  if (name !== undefined) {
    clear.replaceChildren(make('span.names', {}, 'Group ', nameOf(name)), icon('close'));
    clear.title = plain(name);
    clear.setAttribute('aria-label', `Only group ${plain(name)}; show all again`);
  }
  grouped(name);
  unpick();
  begin();
}

// The selection.

export function pick(id, on) {
  const row = rows.get(id);
  if (on) picked.set(id, row?.transfer ?? picked.get(id));
  else picked.delete(id);
  if (row) row.pick.checked = on;
  allPicked();
  listening();
}
export function unpick() {
  for (const id of [...picked.keys()]) pick(id, false);
}
export function pickPage(on = ![...rows.keys()].every((id) => picked.has(id))) {
  for (const id of rows.keys()) pick(id, on);
}
function allPicked() {
  const some = [...rows.keys()].filter((id) => picked.has(id)).length;
  const box = find('#pick-all');
  box.checked = rows.size > 0 && some === rows.size;
  box.indeterminate = some > 0 && some < rows.size;
}

// What events tell.

export function changed(transfer) {
  const row = rows.get(transfer.id);
  const was = row?.transfer ?? picked.get(transfer.id);
  if (picked.has(transfer.id)) picked.set(transfer.id, transfer);
  if (row) row.show(transfer);
  if (!was || was.state !== transfer.state) {
    readCounts();
    refresh();
    if (was) {
      announce(`${called(transfer)}: ${state(transfer.state)}`);
      listening();
    }
  }
}

export function removed(id) {
  if (picked.has(id)) pick(id, false);
  const row = rows.get(id);
  if (row) {
    leave(row);
    rows.delete(id);
  }
  readCounts();
  refresh();
}

export function anew() {
  readCounts();
  load();
}

// Moving about.

const here = () => document.activeElement.closest?.('#rows tr')?.row ?? body.firstElementChild?.row;
/** The row that has the focus, or had it last. */
export const current = here;
export function move(step) {
  const inside = document.activeElement.closest?.('#rows tr');
  const to = inside ? (step > 0 ? inside.nextElementSibling : inside.previousElementSibling) : body.firstElementChild;
  if (!to) return;
  to.row.open.focus();
  to.scrollIntoView({ block: 'nearest' });
}

export function start({ open, steer }) {
  find('#tabs').append(...TABS.map(([key, label], place) => make('button.tab', {
    type: 'button', id: `tab-${key}`, 'aria-current': key === 'all' ? 'true' : undefined,
    'aria-keyshortcuts': String(place + 1), onclick: () => tab(place),
  }, label, ' ', make('span.count', {}, ''))));

  let typing;
  const changedFilter = () => {
    Object.assign(filter, {
      search: find('#search').value,
      type: find('#filter-type').value,
      bucket: find('#filter-bucket').value.trim(),
      newest: find('#filter-order').value === 'newest',
    });
    unpick();
    begin();
  };
  find('#filters').addEventListener('input', (event) => {
    clearTimeout(typing);
    typing = setTimeout(changedFilter, event.target.matches('select') ? 0 : 250);
  });
  find('#filters').addEventListener('submit', (event) => event.preventDefault());
  find('#filter-group').addEventListener('click', () => showGroup());
  find('#page-on').addEventListener('click', pageOn);
  find('#page-back').addEventListener('click', pageBack);
  find('#pick-all').addEventListener('change', (event) => pickPage(event.target.checked));

  let last; // With Shift, all from the last one that was picked.
  body.addEventListener('click', (event) => {
    const row = event.target.closest('tr')?.row;
    if (!row) return;
    const verb = event.target.closest('[data-verb]')?.dataset.verb;
    if (verb) steer(verb, [row.transfer]);
    else if (event.target === row.pick) {
      const on = row.pick.checked;
      const all = [...body.children].map((element) => element.row);
      const [from, to] = [all.indexOf(last), all.indexOf(row)].sort((a, b) => a - b);
      const some = event.shiftKey && from >= 0 ? all.slice(from, to + 1) : [row];
      for (const one of some) pick(one.transfer.id, on);
      last = row;
    } else if (!event.target.closest('input')) open(row.transfer.id);
  });
  setInterval(() => {
    for (const row of rows.values()) if (row.transfer.state === 'in_progress') row.tick();
  }, 1000);
}
