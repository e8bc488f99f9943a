// The keyboard.

import { find, icon, make } from './dom.js';

let dialog;
const CAPS = { ArrowDown: '↓', ArrowUp: '↑', Escape: 'Esc', Delete: 'Del' };

/** `keys`: [[key…], what it does, act]. Letters typed into a field are the field's. */
export function start(keys) {
  const rows = keys.map(([names, what]) => make('div', {}, make('dt', {}, ...names.map((one) => make('kbd', {}, CAPS[one] ?? one))), make('dd', {}, what)));
  const open = () => {
    dialog ??= make('dialog.sheet.small', { id: 'keys', 'aria-labelledby': 'keys-title' },
      make('form', { method: 'dialog' }, make('header', {}, make('h2', { id: 'keys-title' }, 'Keyboard'),
        make('button.quiet', { 'aria-label': 'Close' }, icon('close')))),
      make('dl.keys', {}, ...rows, make('div', {}, make('dt', {}, make('kbd', {}, '?')), make('dd', {}, 'this list'))),
      make('p.hint', {}, 'For scripts: ', make('a', { href: 'api.html' }, 'the HTTP API')));
    document.body.append(dialog);
    dialog.showModal();
  };
  find('#open-keys').addEventListener('click', open);
  const acts = new Map(keys.flatMap(([names, , act]) => names.map((one) => [one, act])));
  acts.set('?', open);
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || find('dialog[open]')) return;
    const typing = event.target.matches('input:not([type=checkbox]), select, textarea');
    const key = event.key === ' ' ? 'Space' : event.key;
    if (typing && key !== 'Escape') return;
    const own = event.target.closest('button, summary, [type=checkbox], a');
    if (own && (key === 'Space' || key === 'Enter')) return;
    const act = acts.get(key);
    if (!act || find('#app').hidden) return;
    event.preventDefault();
    act(key);
  });
}
