// Elements. Everything that is shown goes in as text, never as markup.

/** `make('button.small', {type: 'button', onclick}, 'Pause')` */
export function make(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split('.');
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(' ');
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** One of the symbols of `index.html`. */
export function icon(name) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(space, 'use');
  use.setAttribute('href', `#icon-${name}`);
  svg.append(use);
  return svg;
}

export const find = (selector, within = document) => within.querySelector(selector);

/** Changes a text only when it is another one, so that nothing is laid out twice. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** At once, and then at most once in so many milliseconds. */
export function atMost(millis, act) {
  let waiting = false;
  let again = false;
  const run = () => {
    if (waiting) {
      again = true;
      return;
    }
    waiting = true;
    Promise.resolve(act()).finally(() => {
      setTimeout(() => {
        waiting = false;
        if (again) {
          again = false;
          run();
        }
      }, millis);
    });
  };
  return run;
}

const polite = () => find('#announcer');
let unsaid = [];
/** For screen readers; many at a time become one sentence, and those that lead come first in it. */
export function announce(sentence, { leads = false } = {}) {
  unsaid.push({ sentence, leads });
  if (unsaid.length > 1) return;
  setTimeout(() => {
    const said = unsaid.sort((a, b) => b.leads - a.leads).map((one) => one.sentence);
    const rest = said.splice(3).length;
    unsaid = [];
    polite().textContent = said.join('. ') + (rest > 0 ? `. And ${rest} more changes` : '');
  }, 500);
}

/** A sentence in the corner, for a while. */
export function toast(sentence, kind = 'note') {
  const close = make('button.quiet', { type: 'button', 'aria-label': 'Dismiss' }, icon('close'));
  const note = make(`div.toast.${kind}`, { role: kind === 'bad' ? 'alert' : 'status' }, sentence, close);
  close.addEventListener('click', () => note.remove());
  const place = find('#toasts');
  place.append(note);
  while (place.children.length > 4) place.firstChild.remove();
  setTimeout(() => note.remove(), kind === 'bad' ? 20000 : 6000);
}

/** Asks before something that cannot be undone. */
export function ask(question, explanation, verb) {
  const yes = make('button.danger', { type: 'submit', value: 'yes' }, verb);
  const no = make('button', { type: 'submit', value: 'no', autofocus: true }, 'Keep');
  const form = make('form', { method: 'dialog' },
    make('h2', { id: 'ask-title' }, question), make('p', {}, explanation), make('div.row.end', {}, no, yes));
  const dialog = make('dialog.ask', { 'aria-labelledby': 'ask-title' }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      resolve(dialog.returnValue === 'yes');
      dialog.remove();
    });
  });
}
