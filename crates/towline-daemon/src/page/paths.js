// A field for a path on the service's machine, which completes directories:
// a combobox with a list. https://www.w3.org/WAI/ARIA/apg/patterns/combobox/

import * as api from './service.js';
import { make } from './dom.js';
import { name } from './text.js';

const SHOWN = 50;

export class PathField {
  #asked = new AbortController();
  #at = -1;

  constructor() {
    this.input = make('input', {
      type: 'text', id: 'path', role: 'combobox', autocomplete: 'off', spellcheck: 'false', placeholder: '/absolute/path',
      'aria-expanded': 'false', 'aria-controls': 'path-list', 'aria-autocomplete': 'list',
    });
    this.list = make('ul.path-list', { id: 'path-list', role: 'listbox', 'aria-label': 'Files and directories', hidden: true });
    this.element = make('div.combo', {}, this.input, this.list);
    this.input.addEventListener('input', () => this.#look());
    this.input.addEventListener('focus', () => this.#look());
    this.input.addEventListener('blur', () => this.#close());
    this.input.addEventListener('keydown', (event) => this.#key(event));
    // Not `click`: the field keeps the focus.
    this.list.addEventListener('pointerdown', (event) => {
      event.preventDefault();
      const option = event.target.closest('[role=option]');
      if (option) this.#take(option);
    });
  }

  async #look() {
    this.#asked.abort();
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    try {
      this.#show((await api.paths(this.input.value || '/', signal)).slice(0, SHOWN));
    } catch {
      // Not where what was typed since is being looked for.
      if (!signal.aborted) this.#close();
    }
  }

  #show(paths) {
    const options = paths.map(({ path, directory }, place) => {
      const last = path.split('/').filter(Boolean).pop() ?? '/';
      const option = make('li', { role: 'option', id: `path-${place}`, 'aria-selected': 'false', 'data-kind': directory ? 'directory' : 'file' },
        name(directory ? `${last}/` : last));
      option.whole = path;
      return option;
    });
    this.list.replaceChildren(...options);
    this.#at = -1;
    const open = options.length > 0 && document.activeElement === this.input;
    this.list.hidden = !open;
    this.input.setAttribute('aria-expanded', String(open));
    this.input.removeAttribute('aria-activedescendant');
  }

  #close() {
    this.#asked.abort();
    this.list.hidden = true;
    this.input.setAttribute('aria-expanded', 'false');
  }

  #key(event) {
    const options = [...this.list.children];
    if (this.list.hidden || options.length === 0) return;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      const step = event.key === 'ArrowDown' ? 1 : -1;
      options[this.#at]?.setAttribute('aria-selected', 'false');
      this.#at = (this.#at + step + options.length + (this.#at < 0 && step < 0 ? 1 : 0)) % options.length;
      options[this.#at].setAttribute('aria-selected', 'true');
      options[this.#at].scrollIntoView({ block: 'nearest' });
      this.input.setAttribute('aria-activedescendant', options[this.#at].id);
    } else if (event.key === 'Enter' && this.#at >= 0) {
      event.preventDefault();
      this.#take(options[this.#at]);
    } else if (event.key === 'Tab' && !event.shiftKey && this.#at >= 0) {
      event.preventDefault();
      this.#take(options[this.#at]);
    } else if (event.key === 'Escape') {
      // Closes the list, and not yet the dialog around it.
      event.preventDefault();
      event.stopPropagation();
      this.#close();
    }
  }

  #take(option) {
    this.input.value = option.whole;
    if (option.dataset.kind === 'directory') this.#look();
    else this.#close();
  }
}
