// Words and numbers. Names come from strangers: what would not be seen, or
// would turn the text around it, is shown as a mark.

import { make } from './dom.js';

// Control, format (bidi, zero width), separators, private, and halves of pairs.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Cn}]/u;
const PIECES = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Cn}]|[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Cn}]+/gu;

const CONTROLS = 'NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US'.split(' ');

function mark(character) {
  const code = character.codePointAt(0);
  if (code < 0x20) return CONTROLS[code];
  if (code === 0x7f) return 'DEL';
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** As a piece of the page, apart from the direction of what surrounds it. */
export function name(text) {
  const whole = make('bdi.name');
  for (const piece of String(text).match(PIECES) ?? []) {
    whole.append(HIDDEN.test(piece) ? make('span.hidden-char', {}, mark(piece)) : piece);
  }
  return whole;
}

/** The same for sentences. */
export function words(text) {
  const whole = name(text);
  whole.classList.add('words');
  return whole;
}

/** As a string, for labels and titles. */
export function plain(text) {
  const pieces = String(text).match(PIECES) ?? [];
  return pieces.map((piece) => (HIDDEN.test(piece) ? `‹${mark(piece)}›` : piece)).join('');
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
export function bytes(count) {
  if (count === null || count === undefined) return '–';
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}
export const rate = (perSecond) => (perSecond > 0 ? `${bytes(perSecond)}/s` : '–');

const grouped = new Intl.NumberFormat('en');
export const count = (number) => grouped.format(number);

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return '–';
  const whole = Math.max(1, Math.ceil(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${String(whole % 60).padStart(2, '0')} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} m`;
  return `${count(Math.floor(whole / 86400))} d ${Math.floor((whole % 86400) / 3600)} h`;
}

const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const short = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' });
export const moment = (millis) => full.format(new Date(millis));
export const shortMoment = (millis) => short.format(new Date(millis));

const STATES = {
  waiting: 'Waiting',
  in_progress: 'In progress',
  paused: 'Paused',
  waiting_for_network: 'No network',
  completed: 'Completed',
  canceled: 'Canceled',
  failed: 'Failed',
};
export const state = (value) => STATES[value] ?? plain(value ?? 'removed');

const REASONS = {
  queued: 'waits for its turn',
  not_running: 'not running',
  backing_off: 'between attempts',
  canceling: 'removing its parts',
  restarting: 'starts anew',
  verifying: 'proving its bytes',
  network: 'the store is out of reach',
  credentials: 'needs credentials',
  disk_full: 'the disk is full',
  read_only: 'the target cannot be written',
  clock: 'the clock is wrong',
  tls: 'the certificate is not trusted',
  throttled: 'the store asks to slow down',
  network_class: 'waits for another kind of network',
};
const OUTCOMES = {
  skipped: 'was there already',
  not_modified: 'had not changed',
  conflict: 'another object stands there',
};
/** Why a transfer is where it is, in a few words; empty where that is plain. */
export function reason(transfer) {
  if (transfer.reason) return REASONS[transfer.reason] ?? plain(transfer.reason);
  if (OUTCOMES[transfer.outcome]) return OUTCOMES[transfer.outcome];
  if (transfer.state === 'failed' && transfer.error) return plain(transfer.error.code);
  if (transfer.state === 'completed' && transfer.verified) return `proof: ${transfer.verified}`;
  return '';
}

export const PROOFS = {
  'full-object': 'A checksum over all bytes agrees.',
  composite: 'The checksum of the parts’ checksums agrees.',
  'per-part': 'Each part was checked by the store as it was sent.',
  md5: 'The store’s MD5 agrees.',
  'size-only': 'Only the length is known to agree.',
};
