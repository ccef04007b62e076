// The forward pass of a model's decoders, in plain JavaScript: MLPs, and images by doubling, without a library.
"use strict";
const latentDecoders = (() => {
  function half(bits) {
    const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, (bits & 1023) / 1024];
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction);
  }

  // The layers of each view. The weights lie one after the other as float16: its 65,536 values are looked up.
  function read({ decoders, weights }) {
    const [bytes, value] = [atob(weights), Float32Array.from({ length: 1 << 16 }, (_, bits) => half(bits))];
    let at = 0;
    function next(count) {
      const numbers = new Float32Array(count);
      for (let i = 0; i < count; i++, at += 2)
        numbers[i] = value[bytes.charCodeAt(at) | (bytes.charCodeAt(at + 1) << 8)];
      return numbers;
    }
    const layer = ([kind, inputs, outputs, side]) => {
      const [run, taps] = { linear: [linear, 1], doubled: [doubled, 16] }[kind];
      return { run, inputs, outputs, side, weights: next(taps * inputs * outputs), bias: next(outputs) };
    };
    return Object.fromEntries(Object.entries(decoders).map(([view, layers]) => [view, layers.map(layer)]));
  }

  function linear(x, { inputs, outputs, weights, bias }) {
    const y = new Float32Array(outputs);
    for (let o = 0, w = 0; o < outputs; o++) {
      let sum = bias[o];
      for (let i = 0; i < inputs; i++, w++) sum += weights[w] * x[i];
      y[o] = sum;
    }
    return y;
  }

  // A transposed convolution, 4 x 4, stride 2, padding 1, of an image [v][u][channel]: every pixel adds a 4 x 4 patch.
  function doubled(x, { inputs, outputs, side, weights, bias }) {
    const wide = 2 * side;
    const y = new Float32Array(wide * wide * outputs);
    for (let at = 0; at < y.length; at += outputs) y.set(bias, at);
    for (let from = 0; from < x.length; from++) {
      const value = x[from];
      if (!value) continue; // about half of them, after a ReLU
      const pixel = Math.floor(from / inputs);
      const [v0, u0] = [2 * Math.floor(pixel / side) - 1, 2 * (pixel % side) - 1];
      for (let tap = 0, w = (from % inputs) * 16 * outputs; tap < 16; tap++, w += outputs) {
        const [v, u] = [v0 + (tap >> 2), u0 + (tap & 3)];
        if (v < 0 || v >= wide || u < 0 || u >= wide) continue;
        for (let o = 0, to = (v * wide + u) * outputs; o < outputs; o++) y[to + o] += value * weights[w + o];
      }
    }
    return y;
  }

  const relu = (x) => x.map((value) => Math.max(value, 0));
  // A decoder's numbers for the latent point z (30).
  const decode = (layers, z) => layers.reduce((x, layer, i) => layer.run(i ? relu(x) : x, layer), z);

  return { read, decode };
})();
