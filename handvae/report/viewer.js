// The page's 3D viewer: hands on canvases, without a library. Reads the JSON that viewer.py makes.
// Joints are [x, y, z] in mm: x right, y down, z away from the camera.
"use strict";
(() => {
  const START = { yaw: -25, pitch: 14, zoom: 1 }; // degrees; the camera's own view is 0, 0
  const FLOOR_MM = 50; // side of the floor's squares
  const KEY_DEG = 10;
  const DRAG_DEG = 0.5; // for each pixel
  const STEP_MS = 220; // a step of the walk when it plays
  const SCROLL_MS = 250; // a wheel that has just scrolled the page goes on doing so

  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const element = (id) => document.getElementById(id);
  const style = getComputedStyle(document.documentElement); // follows the colour scheme
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const redraws = []; // of every canvas, for when its size or the colour scheme changes

  // --- one canvas

  // The canvas at the screen's own resolution: its context, in CSS pixels, cleared, and its size in them.
  function cleared(canvas) {
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return { context, width, height };
  }

  function line(context, points, width, stroke, cap = "round") {
    context.beginPath();
    points.forEach(([x, y]) => context.lineTo(x, y));
    Object.assign(context, { lineWidth: width, strokeStyle: stroke, lineCap: cap });
    context.stroke();
  }

  function dot(context, [x, y], radius, fill) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = fill;
    context.fill();
  }

  function text(context, words, [x, y], fill, align) {
    Object.assign(context, { font: "12px system-ui, sans-serif", textBaseline: "middle", textAlign: align });
    context.fillStyle = fill;
    context.fillText(words, x, y);
  }

  function redrawWhenNeeded(canvas, draw) {
    redraws.push(draw);
    new ResizeObserver(draw).observe(canvas);
  }

  // --- hands in space

  // Turned about the vertical axis, then tipped towards the viewer.
  function turned([x, y, z], { yaw, pitch }) {
    const [a, b] = [(yaw * Math.PI) / 180, (pitch * Math.PI) / 180];
    const depth = z * Math.cos(a) - x * Math.sin(a);
    return [
      x * Math.cos(a) + z * Math.sin(a),
      y * Math.cos(b) - depth * Math.sin(b),
      y * Math.sin(b) + depth * Math.cos(b),
    ];
  }

  // What stays the same while these hands are shown: the point they turn about, how far they reach from it, the floor.
  function room(hands) {
    const joints = hands.flat();
    const ends = [0, 1, 2].map((axis) => {
      const along = joints.map((joint) => joint[axis]);
      return [Math.min(...along), Math.max(...along)];
    });
    const centre = ends.map(([low, high]) => (low + high) / 2);
    const away = joints.map((joint) => Math.hypot(...joint.map((value, axis) => value - centre[axis])));
    return { centre, radius: Math.max(...away), floor: ends[1][1] + 10 };
  }

  // A canvas with hands that can be turned: orthographic, so that the scale bar holds everywhere.
  function createSpace(canvas) {
    const view = { ...START };
    const scene = { hands: [], bones: [], palm: [], centre: [0, 0, 0], radius: 100, floor: 100 };

    function draw() {
      const { context, width, height } = cleared(canvas);
      if (!width) return;
      const scale = (view.zoom * 0.44 * Math.min(width, height)) / scene.radius; // pixels a mm
      const place = (point) => {
        const [x, y, z] = turned(point.map((value, axis) => value - scene.centre[axis]), view);
        return [width / 2 + scale * x, height / 2 + scale * y, z];
      };
      drawFloor(context, place);
      drawHands(context, place);
      drawScaleBar(context, height, scale);
      drawAxes(context, width - 44, height - 40);
    }

    function drawFloor(context, place) {
      const reach = FLOOR_MM * Math.ceil(scene.radius / FLOOR_MM);
      const [x, , z] = scene.centre;
      const at = (along, across) => place([x + along, scene.floor, z + across]);
      for (let mm = -reach; mm <= reach; mm += FLOOR_MM) {
        line(context, [at(mm, -reach), at(mm, reach)], 1, colour("floor"));
        line(context, [at(-reach, mm), at(reach, mm)], 1, colour("floor"));
      }
    }

    // The palms, then the bones from far to near, each with a rim, so that the nearer one crosses over; near is thick.
    function drawHands(context, place) {
      const bones = [];
      for (const hand of scene.hands) {
        const joints = hand.joints_mm.map(place);
        drawPalm(context, scene.palm.map((joint) => joints[joint]), colour(hand.colour));
        for (const bone of scene.bones) {
          const ends = bone.map((joint) => joints[joint]);
          bones.push({ ends, depth: (ends[0][2] + ends[1][2]) / 2, stroke: colour(hand.colour) });
        }
      }
      for (const { ends, depth, stroke } of bones.sort((a, b) => b.depth - a.depth)) {
        const near = 1 - 0.35 * Math.max(-1, Math.min(1, depth / scene.radius));
        line(context, ends, 3.2 * near + 2, colour("canvas"), "butt");
        line(context, ends, 3.2 * near, stroke);
        ends.forEach((end) => dot(context, end, 3.1 * near, stroke));
      }
    }

    function drawPalm(context, corners, fill) {
      context.beginPath();
      corners.forEach(([x, y]) => context.lineTo(x, y));
      Object.assign(context, { fillStyle: fill, globalAlpha: 0.13 });
      context.fill();
      context.globalAlpha = 1;
    }

    function drawScaleBar(context, height, scale) {
      const length = [200, 100, 50, 20, 10, 5, 2].find((mm) => mm * scale < 120) || 1;
      const [left, right, y] = [16, 16 + length * scale, height - 18];
      const bar = [[left, y - 4], [left, y + 4], [left, y], [right, y], [right, y - 4], [right, y + 4]];
      line(context, bar, 1.5, colour("ink"));
      text(context, `${length} mm`, [left, y - 14], colour("ink"), "left");
    }

    function drawAxes(context, x0, y0) {
      for (const [name, axis] of Object.entries({ x: [1, 0, 0], y: [0, 1, 0], z: [0, 0, 1] })) {
        const [x, y] = turned(axis, view);
        line(context, [[x0, y0], [x0 + 22 * x, y0 + 22 * y]], 1.5, colour("faint"));
        text(context, name, [x0 + 31 * x, y0 + 31 * y], colour("faint"), "center");
      }
    }

    function change({ yaw = 0, pitch = 0, zoom = 1 }) {
      view.yaw = (view.yaw + yaw) % 360;
      view.pitch = Math.max(-90, Math.min(90, view.pitch + pitch));
      view.zoom = Math.max(0.4, Math.min(6, view.zoom * zoom));
      draw();
    }
    const reset = () => draw(Object.assign(view, START));

    listen(canvas, change, reset);
    redrawWhenNeeded(canvas, draw);
    return (next) => draw(Object.assign(scene, next));
  }

  // Pointers, wheel, keys and buttons of a space.
  function listen(canvas, change, reset) {
    const held = new Map(); // pointer -> where it was
    const spread = () => {
      const [a, b] = [...held.values()];
      return Math.hypot(a.x - b.x, a.y - b.y) || 1;
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      held.set(event.pointerId, { x: event.clientX, y: event.clientY });
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = held.get(event.pointerId);
      if (!before) return;
      const apart = held.size === 2 ? spread() : null;
      held.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (apart) change({ zoom: spread() / apart });
      else change({ yaw: -DRAG_DEG * (event.clientX - before.x), pitch: DRAG_DEG * (event.clientY - before.y) });
    });
    for (const name of ["pointerup", "pointercancel"])
      canvas.addEventListener(name, (event) => held.delete(event.pointerId));
    let scrolled = -Infinity;
    window.addEventListener("scroll", () => (scrolled = performance.now()));
    const wheel = (event) => {
      if (performance.now() - scrolled < SCROLL_MS) return;
      event.preventDefault(); // the page would scroll
      change({ zoom: Math.exp(-0.0015 * event.deltaY * (event.deltaMode ? 20 : 1)) });
    };
    canvas.addEventListener("wheel", wheel, { passive: false });
    const zooms = { in: () => change({ zoom: 1.25 }), out: () => change({ zoom: 0.8 }), reset };
    const keys = {
      ArrowLeft: () => change({ yaw: KEY_DEG }),
      ArrowRight: () => change({ yaw: -KEY_DEG }),
      ArrowUp: () => change({ pitch: -KEY_DEG }),
      ArrowDown: () => change({ pitch: KEY_DEG }),
      "+": zooms.in,
      "=": zooms.in,
      "-": zooms.out,
      0: reset,
    };
    canvas.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
    for (const button of canvas.parentElement.querySelectorAll("[data-view]"))
      button.addEventListener("click", zooms[button.dataset.view]);
  }

  // --- the two parts of the page

  function choose(select, names) {
    select.replaceChildren(...names.map((name, number) => new Option(name, number)));
  }

  function showPredictions(models) {
    const show = createSpace(element("hand-space"));
    const [select, slider] = [element("model"), element("hand")];
    choose(select, models.map((model) => model.name));

    function update() {
      const model = models[select.value];
      const hand = model.hands[slider.value];
      element("hand-number").textContent = `${Number(slider.value) + 1} of ${model.hands.length}`;
      element("hand-image").src = hand.image;
      element("hand-error").textContent = `${hand.error_mm.toFixed(1)} mm`;
      element("hand-joints").textContent = `mean error over ${model.joints} joints`;
      element("hand-note").textContent = model.note;
      element("hand-data").textContent = model.data;
      const shown = ["truth", "prediction"].filter((pose) => element(`show-${pose}`).checked);
      const hands = shown.map((pose) => ({ joints_mm: hand[`${pose}_mm`], colour: pose }));
      show({ hands, bones: model.bones, palm: model.palm, ...room([hand.truth_mm, hand.prediction_mm]) });
    }
    function changeModel() {
      slider.max = models[select.value].hands.length - 1;
      slider.value = 0;
      update();
    }
    select.addEventListener("change", changeModel);
    for (const id of ["hand", "show-truth", "show-prediction"]) element(id).addEventListener("input", update);
    changeModel();
  }

  function showWalks({ name, data: source, bones, palm, walks }) {
    const show = createSpace(element("walk-space"));
    const [select, slider, canvas] = [element("walk"), element("step"), element("walk-image")];
    const pictures = walks.map(({ steps }) => steps.map(({ image }) => Object.assign(new Image(), { src: image })));
    choose(select, walks.map((_, number) => `${number + 1} of ${walks.length}`));
    element("walk-data").textContent = `${name} ${source}`;

    function drawImage() {
      const [step, picture] = [walks[select.value].steps[slider.value], pictures[select.value][slider.value]];
      const { context, width } = cleared(canvas);
      if (!width || !picture.complete) return;
      context.drawImage(picture, 0, 0, width, width);
      const overlays = { flat: ["show-flat", step.uv], solid: ["show-projected", step.projected] };
      for (const [modality, [box, shares]] of Object.entries(overlays)) {
        if (!element(box).checked) continue;
        const points = shares.map((point) => point.map((share) => share * width));
        bones.forEach((bone) => line(context, bone.map((joint) => points[joint]), 4, "rgb(255 255 255 / 60%)"));
        bones.forEach((bone) => line(context, bone.map((joint) => points[joint]), 2, colour(modality)));
        points.forEach((point) => dot(context, point, 2.6, colour(modality)));
      }
    }
    function update() {
      const walk = walks[select.value];
      element("step-number").textContent = `${Number(slider.value) + 1} of ${walk.steps.length}`;
      element("walk-from").src = walk.from;
      element("walk-to").src = walk.to;
      drawImage();
      const hands = [{ joints_mm: walk.steps[slider.value].joints_mm, colour: "solid" }];
      show({ hands, bones, palm, ...room(walk.steps.map((step) => step.joints_mm)) });
    }
    function changeWalk() {
      slider.max = walks[select.value].steps.length - 1;
      slider.value = 0;
      update();
    }
    pictures.flat().forEach((picture) => picture.addEventListener("load", drawImage));
    select.addEventListener("change", changeWalk);
    for (const id of ["step", "show-flat", "show-projected"]) element(id).addEventListener("input", update);
    redrawWhenNeeded(canvas, drawImage);
    playable(slider, update);
    changeWalk();
  }

  // The button that walks to and fro until it is pressed again, or the slider is moved by hand.
  function playable(slider, update) {
    const button = element("play");
    let [timer, forward] = [null, 1];
    function step() {
      const next = Number(slider.value) + forward;
      if (next < 0 || next > Number(slider.max)) forward = -forward;
      slider.value = Number(slider.value) + forward;
      update();
    }
    function play(on) {
      clearInterval(timer);
      timer = on ? setInterval(step, STEP_MS) : null;
      button.textContent = on ? "Pause" : "Play";
      button.setAttribute("aria-pressed", String(on));
    }
    button.addEventListener("click", () => play(timer === null));
    slider.addEventListener("input", () => play(false));
  }

  const parts = { predictions: [data.predictions.length, showPredictions], walks: [data.walks, showWalks] };
  for (const [name, [there, show]] of Object.entries(parts)) {
    element(`${there ? "view" : "no"}-${name}`).hidden = false;
    if (there) show(data[name]);
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraws.forEach((draw) => draw()));
})();
