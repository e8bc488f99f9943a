// One row of the queue: made once, then kept true.

import { find, icon, make, say } from './dom.js';
import { bytes, duration, name, plain, rate, reason, state } from './text.js';

const ENDED = ['completed', 'canceled', 'failed'];
export const isFinal = (transfer) => ENDED.includes(transfer.state);
export const isUnfinished = (transfer) => ['waiting', 'in_progress', 'waiting_for_network'].includes(transfer.state);
const isCanceling = (transfer) => transfer.reason === 'canceling';

/** What may be done with a transfer as it is; the first is what one most likely wants. */
export function verbs(transfer) {
  if (isCanceling(transfer)) return [];
  if (isUnfinished(transfer)) return ['pause', 'cancel'];
  if (transfer.state === 'paused') return ['resume', 'cancel'];
  if (transfer.state === 'completed') return ['remove'];
  return ['retry', 'remove'];
}
export const VERBS = { pause: 'Pause', resume: 'Resume', retry: 'Retry', cancel: 'Cancel', remove: 'Remove' };

/** 100 only when it is done. */
export function percent({ state: now, bytes_transferred: moved, bytes_total: total }) {
  if (now === 'completed') return 100;
  return total > 0 ? Math.min(99, Math.floor((100 * moved) / total)) : 0;
}

/** How fast bytes have come, over the last seconds. */
export class Speed {
  #moved; #at; #value = 0;

  saw(transfer, at = performance.now()) {
    const moved = transfer.bytes_transferred;
    if (transfer.state !== 'in_progress' || this.#moved === undefined || moved < this.#moved) {
      this.#value = 0;
    } else {
      const seconds = (at - this.#at) / 1000;
      if (seconds < 0.1) return;
      const weight = this.#value === 0 ? 1 : 1 - Math.exp(-seconds / 3);
      this.#value += weight * ((moved - this.#moved) / seconds - this.#value);
    }
    [this.#moved, this.#at] = [moved, at];
  }

  get value() {
    const still = (performance.now() - (this.#at ?? 0)) / 1000;
    return still > 3 ? this.#value * Math.exp(-(still - 3) / 2) : this.#value;
  }

  left(transfer) {
    const value = this.value;
    return value > 1 && transfer.bytes_total ? (transfer.bytes_total - transfer.bytes_transferred) / value : Infinity;
  }
}

/** The object, with every character to be seen. */
export const objectName = (transfer) => [name(transfer.bucket), make('span.slash', {}, '/'), name(transfer.key)];
export const WAYS = { upload: 'Upload', download: 'Download', copy: 'Copy' };
export const called = (transfer) => `transfer ${transfer.id}, ${plain(transfer.key)}`;

function cell(kind, ...children) {
  return make(`td.${kind}`, { role: 'cell' }, ...children);
}

/** A row with its parts at hand. */
export class Row {
  constructor(transfer, picked) {
    const { id } = transfer;
    this.speed = new Speed();
    this.pick = make('input', { type: 'checkbox', 'aria-label': `Select ${called(transfer)}` });
    this.open = make('button.open', { type: 'button', 'aria-haspopup': 'dialog' },
      icon(transfer.type === 'download' ? 'down' : 'up'),
      make('span.unseen', {}, `${WAYS[transfer.type]} of `),
      make('span.names', {}, ...objectName(transfer)));
    this.open.title = plain(`s3://${transfer.bucket}/${transfer.key}`);
    this.path = make('span.path', { title: plain(transfer.path) });
    this.badge = make('span.badge');
    this.why = make('span.why');
    this.bar = make('progress', { max: 100, 'aria-label': `Progress of ${called(transfer)}` });
    this.share = make('span.share');
    this.size = cell('size');
    this.rate = cell('rate');
    this.left = cell('left');
    this.acts = cell('acts');
    this.element = make('tr', { role: 'row', 'data-id': id, 'data-type': transfer.type },
      cell('pick', this.pick), cell('id', String(id)), cell('object', this.open, this.path),
      cell('state', this.badge, this.why), cell('progress', make('span.bar-box', {}, this.bar, this.share)),
      this.size, this.rate, this.left, this.acts);
    this.element.row = this;
    this.pick.checked = picked;
    this.show(transfer);
  }

  show(transfer) {
    this.transfer = transfer;
    this.speed.saw(transfer);
    const { element } = this;
    element.dataset.state = transfer.state;
    if (this.shownPath !== transfer.path) {
      this.shownPath = transfer.path;
      this.path.replaceChildren(name(transfer.path || '(a stream)'));
    }
    say(this.badge, state(transfer.state));
    say(this.why, reason(transfer));
    const share = percent(transfer);
    this.bar.value = share;
    say(this.share, `${share} %`);
    say(this.size, bytes(transfer.bytes_total));
    this.tick();
    const offered = verbs(transfer);
    const shape = offered.join();
    if (this.shape !== shape) {
      const focused = this.acts.contains(document.activeElement);
      this.shape = shape;
      this.acts.replaceChildren(...offered.map((verb) => make('button.quiet', {
        type: 'button', 'data-verb': verb, title: VERBS[verb], 'aria-label': `${VERBS[verb]} ${called(transfer)}`,
      }, icon(verb))));
      // The focus stays where it was when its button gives way to another one.
      if (focused) (find('button', this.acts) ?? this.open).focus();
    }
  }

  /** What changes with time alone. */
  tick() {
    const moving = this.transfer.state === 'in_progress';
    say(this.rate, moving ? rate(this.speed.value) : '');
    say(this.left, moving ? duration(this.speed.left(this.transfer)) : '');
  }
}
