// Bytes a second, over the last minutes: uploads above the line, downloads below.

import * as api from './service.js';
import { find, say } from './dom.js';
import { rate } from './text.js';

const SAMPLES = 180; // Seconds, one sample each.
let samples = []; // { at, up, down }
let pointed = -1;
const canvas = find('#graph');

/** A round number above, in steps so that the scale seldom jumps. */
function ceiling(value) {
  const unit = 1024 ** Math.max(1, Math.floor(Math.log2(Math.max(value, 1)) / 10));
  return [1, 2, 5, 10, 20, 50, 100, 200, 500, 1024].map((step) => step * unit).find((step) => step >= value);
}

export function draw() {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return;
  const scale = devicePixelRatio;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext('2d');
  pen.scale(scale, scale);
  const look = getComputedStyle(canvas);
  const color = (kind) => look.getPropertyValue(`--${kind}`);
  // Both have the same scale; the line is where both fit.
  const most = { up: ceiling(Math.max(...samples.map(({ up }) => up), 1)), down: ceiling(Math.max(...samples.map(({ down }) => down), 1)) };
  const middle = Math.round(2 + (height - 4) * (most.up / (most.up + most.down))) + 0.5;
  const tall = (value) => (value / (most.up + most.down)) * (height - 4);
  const step = width / (SAMPLES - 1);
  const x = (place) => width - (samples.length - 1 - place) * step;
  const area = (kind, sign) => {
    if (samples.length < 2) return;
    pen.beginPath();
    pen.moveTo(x(0), middle);
    samples.forEach((sample, place) => pen.lineTo(x(place), middle - sign * tall(sample[kind])));
    pen.lineTo(x(samples.length - 1), middle);
    pen.closePath();
    pen.globalAlpha = 0.22;
    pen.fillStyle = color(kind);
    pen.fill();
    pen.globalAlpha = 1;
    pen.beginPath();
    samples.forEach((sample, place) => pen.lineTo(x(place), middle - sign * tall(sample[kind])));
    pen.strokeStyle = color(kind);
    pen.lineWidth = 1.5;
    pen.stroke();
  };
  pen.strokeStyle = color('line');
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(0, middle);
  pen.lineTo(width, middle);
  pen.stroke();
  area('up', 1);
  area('down', -1);
  pen.fillStyle = color('faint');
  pen.font = `11px ${look.fontFamily}`;
  pen.fillText(rate(Math.max(most.up, most.down)), 4, most.up >= most.down ? 12 : height - 4);
  if (pointed >= 0 && samples[pointed]) {
    pen.strokeStyle = color('faint');
    pen.beginPath();
    pen.moveTo(x(pointed), 0);
    pen.lineTo(x(pointed), height);
    pen.stroke();
  }
}

function tell() {
  const now = samples.at(-1) ?? { up: 0, down: 0 };
  say(find('#rate-up'), rate(now.up));
  say(find('#rate-down'), rate(now.down));
  canvas.setAttribute('aria-label', `Throughput of the last ${Math.ceil(SAMPLES / 60)} minutes; now up ${rate(now.up)}, down ${rate(now.down)}`);
  const at = samples[pointed];
  say(find('#graph-say'), at ? `${samples.length - 1 - pointed} s ago · up ${rate(at.up)} · down ${rate(at.down)}` : '');
}

async function look() {
  if (document.hidden || !api.token()) return;
  try {
    samples = (await api.throughput()).slice(-SAMPLES);
  } catch {
    samples = [...samples, { up: 0, down: 0 }].slice(-SAMPLES);
  }
  tell();
  draw();
}

export function start() {
  canvas.addEventListener('pointermove', ({ offsetX }) => {
    const back = Math.round((canvas.clientWidth - offsetX) / (canvas.clientWidth / (SAMPLES - 1)));
    pointed = samples.length - 1 - back;
    tell();
    draw();
  });
  canvas.addEventListener('pointerleave', () => {
    pointed = -1;
    tell();
    draw();
  });
  new ResizeObserver(draw).observe(canvas);
  setInterval(look, 1000);
  look();
}
