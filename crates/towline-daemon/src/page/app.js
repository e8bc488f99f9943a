// Starts the page and joins its parts.

import * as api from './service.js';
import { announce, find, say } from './dom.js';
import * as drawer from './drawer.js';
import * as graph from './graph.js';
import * as groups from './groups.js';
import * as keys from './keys.js';
import * as limits from './limits.js';
import * as queue from './queue.js';
import { steerHere, start as startSteering, steer } from './steer.js';
import * as submit from './submit.js';

const THEME = 'towline-theme';

function theme(next) {
  if (next) localStorage.setItem(THEME, next);
  const chosen = localStorage.getItem(THEME);
  if (chosen) document.documentElement.dataset.theme = chosen;
}
function switchTheme() {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === 'dark'
    : matchMedia('(prefers-color-scheme: dark)').matches;
  theme(dark ? 'light' : 'dark');
  recolor();
}

/** What is drawn is drawn anew in the other colors. */
function recolor() {
  graph.draw();
  drawer.recolor();
}

function logOut(why) {
  find('#app').hidden = true;
  find('#tools').hidden = true;
  find('#lost').hidden = true;
  find('#logged-out').hidden = false;
  connection('logged out', false);
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  if (why) say(find('#why-out'), why);
}

function connection(words, up) {
  const place = find('#connection');
  place.dataset.up = String(up);
  say(place, words);
}

let wasDown = false;
const tell = {
  transfer(transfer) {
    queue.changed(transfer);
    drawer.changed(transfer);
    groups.counted(transfer);
  },
  group: groups.changed,
  removed(id) {
    queue.removed(id);
    drawer.removed(id);
    groups.removed();
  },
  anew() {
    queue.anew();
    drawer.anew();
    groups.anew();
  },
  up() {
    connection('live', true);
    if (!wasDown) return;
    wasDown = false;
    find('#lost').hidden = true;
    announce('The service is back');
    tell.anew();
  },
  down() {
    if (!api.token()) return;
    wasDown = true;
    connection('not connected', false);
    find('#lost').hidden = false;
    say(find('#lost'), 'The service does not answer. This is what was last known; trying again. Transfers go on as soon as it runs.');
  },
};

function escape() {
  if (find('#all-menu').open) find('#all-menu').open = false;
  else if (document.activeElement.matches('input, select')) document.activeElement.blur();
  else if (drawer.isOpen()) drawer.close();
  else if (queue.picked.size) queue.unpick();
  else queue.showGroup();
}

function here(act) {
  const row = queue.current();
  if (row) act(row);
}

function steerFocused(verb) {
  if (!groups.steerHere(verb)) steerHere(verb);
}

theme();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', recolor);
find('#switch-theme').addEventListener('click', switchTheme);
api.onLoggedOut(() => logOut('The token of this page is good no more. In a terminal here, run'));
queue.start({ open: drawer.open, steer });
groups.start();
startSteering();
drawer.start({ steer });
submit.start();
limits.start();
keys.start([
  [['/'], 'search', () => find('#search').focus()],
  [['n'], 'new transfer', submit.open],
  [['j', 'ArrowDown'], 'next row', () => queue.move(1)],
  [['k', 'ArrowUp'], 'row before', () => queue.move(-1)],
  [['Enter', 'o'], 'open a row', () => here((row) => drawer.open(row.transfer.id))],
  [['x', 'Space'], 'select a row', () => here((row) => queue.pick(row.transfer.id, !row.pick.checked))],
  [['a'], 'select this page', () => queue.pickPage()],
  [['g'], 'groups', groups.focus],
  [['p'], 'pause', () => steerFocused('pause')],
  [['r'], 'resume', () => steerFocused('resume')],
  [['y'], 'retry', () => steerFocused('retry')],
  [['c'], 'cancel', () => steerFocused('cancel')],
  [['Delete'], 'remove', () => steerFocused('remove')],
  [['['], 'page before', queue.pageBack],
  [[']'], 'next page', queue.pageOn],
  [['1', '2', '3', '4', '5', '6'], 'all, active, paused, failed, completed, canceled', (key) => queue.tab(Number(key) - 1)],
  [['l'], 'limits', limits.open],
  [['t'], 'light or dark', switchTheme],
  [['Escape'], 'close, or clear the selection, or show all groups', escape],
]);

if (await api.login().catch(() => false)) {
  find('#app').hidden = false;
  graph.start();
  api.follow(tell);
} else {
  logOut();
}
