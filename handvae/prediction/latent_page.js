// Sliders, and what a model's decoders (latent_decoders.js) make of the point that they say.
// Reads the JSON that latent_page.py makes. 3D joints: x right, y down, z away from the camera.
"use strict";
(() => {
  const START = { yaw: -25, pitch: 14, zoom: 1 }; // degrees; the camera's own view is 0, 0
  const [KEY_DEG, KEY_ZOOM, DRAG_DEG] = [10, 1.25, 0.5]; // for a key, the last for a pixel
  const ROOM_SD = 1.5; // the 3D view has room for the hands that far along each direction
  const WALK_MS = 3000; // from one hand to the other

  const data = JSON.parse(document.getElementById("latent-data").textContent);
  const element = (id) => document.getElementById(id);
  const style = getComputedStyle(document.documentElement); // follows the colour scheme
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();

  const decoders = latentDecoders.read(data);
  const decode = (view, z) => latentDecoders.decode(decoders[view], z);
  const pointAt = (sd) =>
    Float32Array.from(data.mean, (mean, axis) => sd.reduce((sum, value, i) => sum + value * data.steps[i][axis], mean));

  const decoded = {
    joints_3d: (z) => inGroups(decode("joints_3d", z).map((value) => value * data.unit.factor), 3),
    joints_2d: (z) => inGroups(decode("joints_2d", z), 2),
    image: (z) => pictureOf(decode("image", z), decoders.image.at(-1).outputs),
  };
  const inGroups = (numbers, size) =>
    Array.from({ length: numbers.length / size }, (_, i) => [...numbers.subarray(size * i, size * i + size)]);

  // RGB in [-0.5, 0.5], or depth from -1, near and dark, to 1, white.
  function pictureOf(numbers, channels) {
    const side = Math.sqrt(numbers.length / channels);
    const picture = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const pixels = new ImageData(side, side); // which clips and rounds
    for (let i = 0; i < pixels.data.length; i++) {
      const [pixel, channel] = [i >> 2, i & 3];
      const shade = channels === 3 ? 255 * (numbers[3 * pixel + channel] + 0.5) : 142.5 + 112.5 * numbers[pixel];
      pixels.data[i] = channel === 3 ? 255 : shade;
    }
    picture.getContext("2d").putImageData(pixels, 0, 0);
    return picture;
  }

  // --- drawing; the hand in space looks as in the report's viewer

  // The canvas at the screen's own resolution, cleared; lengths in CSS pixels. `place` puts points of a square, from -1
  // to 1, in its middle, and `reach` is half its side.
  function cleared(canvas) {
    const [{ clientWidth: width, clientHeight: height }, ratio] = [canvas, window.devicePixelRatio || 1];
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    const [context, reach] = [canvas.getContext("2d"), Math.min(width, height) / 2];
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return { context, height, reach, place: ([x, y]) => [width / 2 + reach * x, height / 2 + reach * y] };
  }

  function line(context, ends, width, stroke, cap = "round") {
    context.beginPath();
    ends.forEach(([x, y]) => context.lineTo(x, y));
    Object.assign(context, { lineWidth: width, strokeStyle: stroke, lineCap: cap });
    context.stroke();
  }

  function dot(context, [x, y], radius, fill) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = fill;
    context.fill();
  }

  // The middle of the hands at these points, which they turn about, how far they reach from it, the floor under them.
  function roomOf(places) {
    const all = places.flatMap((sd) => decoded.joints_3d(pointAt(sd)));
    const ends = [0, 1, 2].map((axis) => [Math.min, Math.max].map((end) => end(...all.map((joint) => joint[axis]))));
    const middle = ends.map(([low, high]) => (low + high) / 2);
    const radius = Math.max(...all.map((joint) => Math.hypot(...joint.map((value, axis) => value - middle[axis]))));
    return { middle, radius, floor: ends[1][1] + data.unit.length / 5 };
  }

  const view = { ...START };
  const along = (sd) => data.steps.map((_, i) => data.steps.map((_, j) => (i === j ? sd : 0)));
  const room = roomOf([...along(-ROOM_SD), ...along(ROOM_SD)]);

  // In shares of the room, turned about the vertical axis, then tipped towards the viewer.
  function turned(point) {
    const [x, y, z] = point.map((value, axis) => (0.92 * view.zoom * (value - room.middle[axis])) / room.radius);
    const [a, b] = [(view.yaw * Math.PI) / 180, (view.pitch * Math.PI) / 180];
    const depth = z * Math.cos(a) - x * Math.sin(a);
    const [up, back] = [y * Math.cos(b) - depth * Math.sin(b), y * Math.sin(b) + depth * Math.cos(b)];
    return [x * Math.cos(a) + z * Math.sin(a), up, back];
  }

  function drawSpace() {
    const { context, height, reach, place } = cleared(element("joints_3d"));
    const [{ length, name }, { middle, radius, floor }] = [data.unit, room];
    const squares = Math.ceil(radius / length);
    const corner = (x, z) => place(turned([middle[0] + length * x, floor, middle[2] + length * z]));
    for (let i = -squares; i <= squares; i++) {
      line(context, [corner(i, -squares), corner(i, squares)], 1, colour("floor"));
      line(context, [corner(-squares, i), corner(squares, i)], 1, colour("floor"));
    }
    const hand = shown.joints_3d.map(turned);
    context.beginPath();
    data.palm.forEach((joint) => context.lineTo(...place(hand[joint])));
    context.fillStyle = `color-mix(in srgb, ${colour("solid")} 13%, transparent)`;
    context.fill();
    // from far to near, each with a rim, so that the nearer bone crosses over; near is thick
    const depth = ([a, b]) => (hand[a][2] + hand[b][2]) / 2;
    for (const bone of [...data.bones].sort((a, b) => depth(b) - depth(a))) {
      const near = 1 - 0.35 * Math.max(-1, Math.min(1, depth(bone)));
      const ends = bone.map((joint) => place(hand[joint]));
      line(context, ends, 3.2 * near + 2, colour("canvas"), "butt");
      line(context, ends, 3.2 * near, colour("solid"));
      ends.forEach((end) => dot(context, end, 3.1 * near, colour("solid")));
    }
    line(context, [[16, height - 14], [16 + (0.92 * view.zoom * length * reach) / radius, height - 14]], 2, colour("ink"));
    Object.assign(context, { font: "12px system-ui, sans-serif", fillStyle: colour("ink") });
    context.fillText(name, 16, height - 22);
  }

  function drawFlat({ context, place } = cleared(element("joints_2d")), rim = colour("canvas")) {
    const [x0, y0] = shown.joints_2d[data.centre]; // in the middle of the image
    const hand = shown.joints_2d.map(([x, y]) => place([x - x0, y - y0]));
    for (const [width, stroke] of [[4, rim], [2, colour("flat")]])
      data.bones.forEach((bone) => line(context, bone.map((joint) => hand[joint]), width, stroke));
    hand.forEach((joint) => dot(context, joint, 2.6, colour("flat")));
  }

  function drawImage() {
    const { context, reach, place } = cleared(element("image"));
    context.drawImage(shown.image, ...place([-1, -1]), 2 * reach, 2 * reach);
    if (element("over").checked) drawFlat({ context, place }, "rgb(255 255 255 / 60%)");
  }

  // --- the page

  const shown = {}; // what each view decoded last
  const drawn = { joints_3d: drawSpace, joints_2d: () => drawFlat(), image: drawImage };
  const draw = () => Object.keys(shown).forEach((name) => drawn[name]());
  let [point, asked, walking] = [null, false, null];

  // To the point so many sd along each direction. Of several moves within a frame the last is decoded.
  function move(sd) {
    point = sd;
    sliders.forEach(([input, output], i) => {
      input.value = sd[i];
      const far = Math.abs(sd[i]).toFixed(1);
      output.textContent = `${far === "0.0" ? "" : sd[i] < 0 ? "−" : "+"}${far} sd`;
    });
    if (!asked) requestAnimationFrame(show);
    asked = true;
  }

  function show() {
    asked = false;
    for (const name of Object.keys(decoders)) shown[name] = decoded[name](pointAt(point));
    draw();
  }

  const sliders = [...document.querySelectorAll("#sliders label")].map((label) => [...label.children].slice(1));
  const mean = data.steps.map(() => 0);
  let taken = 0;
  const randomHand = () => data.hands[taken++ % data.hands.length];

  function walk(ends) {
    walking = ends;
    element("walk").setAttribute("aria-pressed", String(ends !== null));
    element("walk").textContent = ends ? "Stop" : "Walk";
    const start = performance.now();
    requestAnimationFrame(function step(now) {
      if (walking !== ends || !ends) return;
      const share = (1 - Math.cos((Math.PI * Math.max(0, now - start)) / WALK_MS)) / 2; // to and fro
      move(ends[0].map((sd, i) => sd + share * (ends[1][i] - sd)));
      requestAnimationFrame(step);
    });
  }
  function stay(sd) {
    walk(null);
    move(sd);
  }
  sliders.forEach(([input], i) => input.addEventListener("input", () => stay(point.with(i, Number(input.value)))));
  element("mean").addEventListener("click", () => stay(mean));
  element("random").addEventListener("click", () => stay(randomHand()));
  element("walk").addEventListener("click", () => walk(walking ? null : [randomHand(), randomHand()]));
  element("over").addEventListener("input", draw);

  function turn({ yaw = 0, pitch = 0, zoom = 1 }) {
    view.yaw = (view.yaw + yaw) % 360;
    view.pitch = Math.max(-90, Math.min(90, view.pitch + pitch));
    view.zoom = Math.max(0.4, Math.min(6, view.zoom * zoom));
    drawSpace();
  }
  const space = element("joints_3d");
  const keys = {
    ...{ ArrowLeft: { yaw: KEY_DEG }, ArrowRight: { yaw: -KEY_DEG } },
    ...{ ArrowUp: { pitch: -KEY_DEG }, ArrowDown: { pitch: KEY_DEG } },
    ...{ "+": { zoom: KEY_ZOOM }, "-": { zoom: 1 / KEY_ZOOM }, 0: START },
  };
  space.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault(); // the page would scroll
    if (event.key === "0") Object.assign(view, { yaw: 0, pitch: 0, zoom: 1 });
    turn(keys[event.key]);
  });
  let held = null; // the pointer's last event
  space.addEventListener("pointerdown", (event) => space.setPointerCapture((held = event).pointerId));
  space.addEventListener("lostpointercapture", () => (held = null));
  space.addEventListener("pointermove", (event) => {
    if (event.pointerId !== held?.pointerId) return;
    turn({ yaw: -DRAG_DEG * (event.clientX - held.clientX), pitch: DRAG_DEG * (event.clientY - held.clientY) });
    held = event;
  });

  for (const name of Object.keys(drawn)) element(name).closest("figure").hidden = !decoders[name];
  element("over").parentElement.hidden = !(decoders.image && decoders.joints_2d);
  move(mean);
  show();
  for (const name of Object.keys(shown)) new ResizeObserver(drawn[name]).observe(element(name));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  window.latent = { decode }; // for the console, and for tests
})();
