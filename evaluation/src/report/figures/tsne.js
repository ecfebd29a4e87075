// The turnable map of embeddings: drag to turn, wheel or + and - to come nearer, point at a dot to see its picture.
(() => {
  "use strict";
  const view = JSON.parse(document.getElementById("map-data").textContent);
  const canvas = document.getElementById("map-canvas");
  const tip = document.getElementById("map-tip");
  const pen = canvas.getContext("2d");
  const first = { yaw: 0.6, pitch: 0.35, zoom: 1 };
  let { yaw, pitch, zoom } = first;
  let model = view.models[0];
  let asPictures = false;
  let lit = null; // the brand that is shown alone
  let placed = []; // the points as drawn, far ones first: { point, x, y, r }
  let dragged = null;
  let hovered = null;

  const images = new Map();
  for (const [row, source] of Object.entries(view.pictures)) {
    const image = new Image();
    image.src = source;
    image.onload = () => asPictures && draw();
    images.set(Number(row), image);
  }

  function draw() {
    const { clientWidth: width, clientHeight: height } = canvas;
    const fine = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * fine);
    canvas.height = Math.round(height * fine);
    pen.setTransform(fine, 0, 0, fine, 0, 0);
    pen.clearRect(0, 0, width, height);
    const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    const scale = 0.46 * Math.min(width, height) * zoom;
    placed = model.points.map((point) => {
      const [x, y, z] = point.at;
      const [u, w] = [x * cy + z * sy, z * cy - x * sy];
      const [v, depth] = [y * cp - w * sp, y * sp + w * cp];
      const near = 3 / (3 - depth); // the eye stands three radii away
      return { point, depth, near, x: width / 2 + u * scale * near, y: height / 2 - v * scale * near };
    });
    placed.sort((a, b) => a.depth - b.depth);
    for (const p of placed) {
      const shown = lit === null || lit === p.point.brand;
      const strong = p.point === hovered;
      const image = images.get(p.point.row);
      const least = asPictures ? 0.85 : 0.55;
      pen.globalAlpha = shown ? least + (0.95 - least) * Math.min(1, (p.depth + 1) / 2) : 0.1;
      pen.fillStyle = pen.strokeStyle = model.brands[p.point.brand].colour;
      if (asPictures && image.complete && image.naturalWidth > 0) {
        const side = 26 * p.near * Math.sqrt(zoom) * (strong ? 1.4 : 1);
        p.r = side / 2;
        pen.drawImage(image, p.x - side / 2, p.y - side / 2, side, side);
        pen.lineWidth = strong ? 3 : 1.5;
        pen.strokeRect(p.x - side / 2, p.y - side / 2, side, side);
      } else {
        p.r = (strong ? 7 : 4.5) * p.near;
        pen.beginPath();
        pen.arc(p.x, p.y, p.r, 0, 2 * Math.PI);
        pen.fill();
      }
    }
    pen.globalAlpha = 1;
    canvas.dataset.yaw = yaw.toFixed(4);
    canvas.dataset.pitch = pitch.toFixed(4);
    canvas.dataset.model = model.name;
    canvas.dataset.points = String(model.points.length);
  }

  // The point under the mouse, the one in front where several lie.
  function under(x, y) {
    const reach = (p) => Math.hypot(p.x - x, p.y - y) <= p.r + 3;
    const shown = (p) => lit === null || lit === p.point.brand;
    const hit = placed.filter((p) => shown(p) && reach(p));
    return hit.length ? hit[hit.length - 1] : null;
  }

  function point_at(x, y) {
    const hit = under(x, y);
    hovered = hit && hit.point;
    tip.hidden = !hit;
    canvas.style.cursor = hit ? "pointer" : "grab";
    if (hit) {
      tip.querySelector("img").src = view.pictures[hit.point.row];
      tip.querySelector("img").alt = model.brands[hit.point.brand].name;
      tip.querySelector("b").textContent = model.brands[hit.point.brand].name;
      tip.querySelector("span").textContent = "row " + hit.point.row;
      const left = x + 18 + tip.offsetWidth > canvas.clientWidth ? x - 18 - tip.offsetWidth : x + 18;
      const top = Math.max(0, Math.min(y - 20, canvas.clientHeight - tip.offsetHeight));
      tip.style.left = left + "px";
      tip.style.top = top + "px";
    }
    draw();
  }

  const turn = (dx, dy) => {
    yaw += dx;
    pitch = Math.max(-1.55, Math.min(1.55, pitch + dy));
    draw();
  };
  const come = (factor) => {
    zoom = Math.max(0.5, Math.min(6, zoom * factor));
    draw();
  };

  canvas.addEventListener("pointerdown", (event) => {
    dragged = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
    tip.hidden = true;
    canvas.style.cursor = "grabbing";
  });
  canvas.addEventListener("pointermove", (event) => {
    if (dragged) {
      turn((event.clientX - dragged[0]) / 150, (event.clientY - dragged[1]) / 150);
      dragged = [event.clientX, event.clientY];
    } else {
      point_at(event.offsetX, event.offsetY);
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      dragged = null;
      point_at(event.offsetX, event.offsetY);
    });
  }
  canvas.addEventListener("pointerleave", () => {
    if (dragged) return;
    hovered = null;
    tip.hidden = true;
    draw();
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    come(Math.exp(-event.deltaY / 500));
  }, { passive: false });
  canvas.addEventListener("dblclick", () => {
    ({ yaw, pitch, zoom } = first);
    draw();
  });
  canvas.addEventListener("keydown", (event) => {
    const keys = {
      ArrowLeft: () => turn(-0.1, 0), ArrowRight: () => turn(0.1, 0),
      ArrowUp: () => turn(0, -0.1), ArrowDown: () => turn(0, 0.1),
      "+": () => come(1.15), "-": () => come(1 / 1.15),
    };
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });

  // A model's legend: a button per brand that shows it alone, or all again.
  function legend() {
    const box = document.getElementById("map-brands");
    box.replaceChildren(...model.brands.map((brand, i) => {
      const button = document.createElement("button");
      const key = document.createElement("i");
      key.style.background = brand.colour;
      button.type = "button";
      button.append(key, brand.name);
      button.setAttribute("aria-pressed", String(lit === i));
      button.addEventListener("click", () => {
        lit = lit === i ? null : i;
        legend();
        draw();
      });
      return button;
    }));
    document.getElementById("map-note").textContent = model.note;
  }

  const choice = document.getElementById("map-model");
  view.models.forEach((m, i) => choice.append(new Option(m.name, String(i))));
  choice.addEventListener("change", () => {
    model = view.models[Number(choice.value)];
    lit = hovered = null;
    tip.hidden = true;
    legend();
    draw();
  });
  document.getElementById("map-pictures").addEventListener("change", (event) => {
    asPictures = event.target.checked;
    draw();
  });
  new ResizeObserver(draw).observe(canvas);
  legend();
  draw();
})();
