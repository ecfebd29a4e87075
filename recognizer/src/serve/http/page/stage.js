// The picture that is asked about, and the box on it, in pixels of the picture.

import { $, n } from "./api.js";

const LEAST = 4;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const state = { file: null, width: 0, height: 0, box: null, changed: () => {} };

/** The picture's bytes as they are sent, or null. */
export const file = () => state.file;
/** [left, top, right, bottom] in whole pixels, or null for the whole picture. */
export const box = () => state.box?.map(Math.round) ?? null;

/** JPEG's EXIF orientation, 1 to 8; 1 where there is none. The server takes pixels as they are stored. */
export function orientation(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint16(0) !== 0xffd8) return 1;
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda;) {
    const length = view.getUint16(at + 2), tiff = at + 10;
    if (bytes[at + 1] === 0xe1 && tiff + 8 <= bytes.length && view.getUint32(at + 4) === 0x45786966) {
      const little = view.getUint16(tiff) === 0x4949, first = tiff + view.getUint32(tiff + 4, little);
      if (first + 2 > bytes.length) return 1;
      for (let i = 0, entry = first + 2; i < view.getUint16(first, little) && entry + 12 <= bytes.length; i++, entry += 12) {
        if (view.getUint16(entry, little) === 0x0112) return clamp(view.getUint16(entry + 8, little), 1, 8);
      }
      return 1;
    }
    at += 2 + length;
  }
  return 1;
}

/** What the server reads is sent as it is; all else (AVIF, SVG, a photograph that lies on its side) as PNG, upright. */
async function readable(given, image) {
  const head = new Uint8Array(await given.slice(0, 65536).arrayBuffer());
  const starts = (...bytes) => bytes.every((byte, i) => head[i] === byte);
  const webp = starts(0x52, 0x49, 0x46, 0x46) && head[8] === 0x57;
  const known = starts(0xff, 0xd8) || starts(0x89, 0x50) || starts(0x47, 0x49, 0x46) || webp;
  if (known && orientation(head) === 1) return given;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  canvas.getContext("2d").drawImage(image, 0, 0);
  return new Promise((ok, no) => canvas.toBlob(blob => blob ? ok(blob) : no(new Error("the picture cannot be converted")), "image/png"));
}

/** Shows a picture, without a box. Throws what a person should read. */
export async function show(given) {
  const image = $("shown"), before = image.src;
  image.src = URL.createObjectURL(given);
  try {
    await image.decode();
    if (!image.naturalWidth) throw new Error("no size");
    state.file = await readable(given, image);
  } catch {
    URL.revokeObjectURL(image.src);
    image.src = before;
    throw new Error(`${given.name || "What was given"} is no picture that this browser can show.`);
  }
  if (before) URL.revokeObjectURL(before);
  [state.width, state.height] = [image.naturalWidth, image.naturalHeight];
  state.box = null;
  draw();
}

export function whole() {
  state.box = null;
  draw();
  state.changed();
}

function draw() {
  const element = $("box"), { box: at, width, height } = state;
  element.hidden = !at;
  $("whole").disabled = !at;
  if (at) {
    const part = (value, all) => `${value / all * 100}%`;
    Object.assign(element.style, {
      left: part(at[0], width), top: part(at[1], height),
      width: part(at[2] - at[0], width), height: part(at[3] - at[1], height),
    });
  }
  const now = box();
  $("where").textContent = now
    ? `box ${n(now[2] - now[0])} × ${n(now[3] - now[1])} at ${n(now[0])}, ${n(now[1])} of ${n(width)} × ${n(height)} pixels`
    : `the whole picture, ${n(width)} × ${n(height)} pixels`;
}

/** Sets a box from two corners, inside the picture and large enough to see. */
function span(x0, y0, x1, y1) {
  const side = (a, b, all) => {
    const low = clamp(Math.min(a, b), 0, Math.max(all - LEAST, 0));
    return [low, clamp(Math.max(a, b), Math.min(low + LEAST, all), all)];
  };
  const [left, right] = side(x0, x1, state.width), [top, bottom] = side(y0, y1, state.height);
  state.box = [left, top, right, bottom];
  draw();
}

function move(from, dx, dy) {
  const [left, top, right, bottom] = from;
  const x = clamp(dx, -left, state.width - right), y = clamp(dy, -top, state.height - bottom);
  state.box = [left + x, top + y, right + x, bottom + y];
  draw();
}

function pointer(stage) {
  let drag = null;
  const at = event => {
    const frame = $("shown").getBoundingClientRect();
    return [(event.clientX - frame.left) / frame.width * state.width, (event.clientY - frame.top) / frame.height * state.height];
  };
  stage.addEventListener("pointerdown", event => {
    if (event.button !== 0 || !state.file) return;
    const [x, y] = at(event), corner = event.target.dataset?.corner, before = state.box;
    if (corner) {
      // The opposite corner stays.
      drag = { kind: "span", from: [before[corner[0] === "0" ? 2 : 0], before[corner[1] === "0" ? 3 : 1]], before };
    } else if (event.target.id === "box") {
      drag = { kind: "move", from: [x, y], before };
    } else {
      drag = { kind: "span", from: [x, y], before, fresh: true };
    }
    stage.setPointerCapture(event.pointerId);
    stage.focus({ preventScroll: true });
    event.preventDefault();
  });
  stage.addEventListener("pointermove", event => {
    if (!drag) return;
    const [x, y] = at(event);
    // A press without a way is no box.
    drag.moved ||= Math.hypot(x - drag.from[0], y - drag.from[1]) > LEAST || !drag.fresh;
    if (!drag.moved) return;
    if (drag.kind === "move") move(drag.before, x - drag.from[0], y - drag.from[1]);
    else span(...drag.from, x, y);
  });
  const end = event => {
    if (!drag) return;
    const { moved, before } = drag;
    drag = null;
    if (event.type === "pointercancel") {
      state.box = before;
      draw();
    } else if (moved) state.changed();
  };
  stage.addEventListener("pointerup", end);
  stage.addEventListener("pointercancel", end);
}

function keys(event) {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (event.key === "Escape" || event.key === "Delete" || event.key === "Backspace") {
    if (state.box) whole();
  } else if (way && !event.ctrlKey && !event.metaKey) {
    const { width, height } = state;
    if (!state.box) {
      span(width / 4, height / 4, width * 3 / 4, height * 3 / 4);
    } else {
      const step = event.altKey ? 1 : Math.max(1, Math.round(Math.max(width, height) / 50));
      const [dx, dy] = way.map(to => to * step), [left, top, right, bottom] = box();
      if (event.shiftKey) span(left, top, Math.max(right + dx, left + LEAST), Math.max(bottom + dy, top + LEAST));
      else move([left, top, right, bottom], dx, dy);
    }
    state.changed();
  } else return;
  event.preventDefault();
}

/** `changed` is called whenever the box is another one. */
export function start(changed) {
  state.changed = changed;
  pointer($("stage"));
  $("stage").addEventListener("keydown", keys);
  $("whole").addEventListener("click", whole);
}
