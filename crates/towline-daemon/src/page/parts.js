// The parts of a live transfer as a map of cells: on a canvas, for there may
// be ten thousand. The same in words for who does not see it.

import { make, say } from './dom.js';
import { bytes, count } from './text.js';

const KINDS = { done: 'done', sending: 'under way', waiting: 'to do' };

export class PartMap {
  #cells = [];
  #columns = 1;
  #pitch = 10;
  #at = -1;

  constructor() {
    this.canvas = make('canvas.cells', { role: 'img', tabindex: 0 });
    this.line = make('p.hint', { 'aria-live': 'off' });
    this.legend = make('p.legend');
    this.element = make('div.part-map', {}, this.canvas, this.legend, this.line);
    this.canvas.addEventListener('pointermove', (event) => this.#point(event));
    this.canvas.addEventListener('pointerleave', () => this.#choose(-1));
    this.canvas.addEventListener('blur', () => this.#choose(-1));
    this.canvas.addEventListener('keydown', (event) => this.#key(event));
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** All parts: `{ number, start, end, state, bytes }`. */
  show(parts) {
    this.#cells = parts.map(({ number, start, end, state, bytes: moved }) => ({ number, len: end - start, bytes: moved, kind: state }));
    const total = parts.length;
    const of = (kind) => this.#cells.filter((cell) => cell.kind === kind).length;
    const all = Object.entries(KINDS).map(([kind, word]) => [kind, `${count(of(kind))} ${word}`]);
    this.legend.replaceChildren(...all.map(([kind, word]) => make(`span.key.${kind}`, {}, word)));
    this.canvas.setAttribute('aria-label', `${count(total)} parts: ${all.map(([, word]) => word).join(', ')}`);
    this.draw();
    this.#tell();
  }

  draw() {
    const width = this.element.clientWidth;
    const total = this.#cells.length;
    if (!width || !total) return;
    this.#pitch = total > 4000 ? 5 : total > 1200 ? 7 : total > 300 ? 10 : 14;
    this.#columns = Math.max(1, Math.floor(width / this.#pitch));
    const height = Math.ceil(total / this.#columns) * this.#pitch;
    const scale = devicePixelRatio;
    this.canvas.width = width * scale;
    this.canvas.height = height * scale;
    this.canvas.style.height = `${height}px`;
    const pen = this.canvas.getContext('2d');
    pen.scale(scale, scale);
    const look = getComputedStyle(this.element);
    const colors = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, look.getPropertyValue(`--part-${kind}`)]));
    const size = this.#pitch - (this.#pitch > 7 ? 2 : 1);
    this.#cells.forEach(({ kind, bytes: moved, len }, place) => {
      const [x, y] = this.#corner(place);
      // One under way fills up.
      const filled = kind === 'sending' ? Math.max(2, (size * moved) / len) : size;
      if (kind === 'sending') {
        pen.fillStyle = colors.waiting;
        pen.fillRect(x, y, size, size);
      }
      pen.fillStyle = colors[kind];
      pen.fillRect(x, y + size - filled, size, filled);
    });
    if (this.#at >= 0) {
      const [x, y] = this.#corner(this.#at);
      pen.strokeStyle = look.color;
      pen.lineWidth = 1.5;
      pen.strokeRect(x - 0.5, y - 0.5, size + 1, size + 1);
    }
  }

  #corner(place) {
    return [(place % this.#columns) * this.#pitch + 1, Math.floor(place / this.#columns) * this.#pitch + 1];
  }

  #point({ offsetX, offsetY }) {
    const column = Math.floor(offsetX / this.#pitch);
    const place = Math.floor(offsetY / this.#pitch) * this.#columns + column;
    this.#choose(column < this.#columns && place < this.#cells.length ? place : -1);
  }

  #key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.#columns, ArrowUp: -this.#columns }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    this.line.setAttribute('aria-live', 'polite');
    this.#choose(Math.min(this.#cells.length - 1, Math.max(0, this.#at + step)));
  }

  #choose(place) {
    if (place === this.#at) return;
    this.#at = place;
    this.#tell();
    this.draw();
  }

  #tell() {
    const cell = this.#cells[this.#at];
    const moved = cell?.kind === 'sending' ? `${bytes(cell.bytes)} of ` : '';
    say(this.line, cell ? `Part ${count(cell.number)} · ${moved}${bytes(cell.len)} · ${KINDS[cell.kind]}` : '');
  }
}
