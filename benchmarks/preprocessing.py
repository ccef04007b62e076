"""Preprocessing of every set: images/s against decoding alone, memory and time of a set ten times as large.

python -m benchmarks.preprocessing FOLDER: renders the five sets at profile small's sizes into FOLDER, or takes what an
earlier run left there, and prints a table. Sets of any length are made by going round the rendered frames.
"""

import functools
import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from handvae.base import params, workers
from handvae.datasets import png
from handvae.datasets.sets import DATASETS
from handvae.preprocessing import preprocess, store

SHORT, LONG = 500, 5000  # frames

Row = tuple[str, str, str, str]  # what, measured, held to, ratio


def frames_of(name: str, root: Path, count: int) -> list:
    """`count` frames of the set, over and over."""
    frames = DATASETS[name].frames_with_images(root)
    return list(itertools.islice(itertools.cycle(frames), count))


def preprocess_once(name: str, root: str, count: str, out: str) -> None:
    """In a process of its own: prints the seconds, and the peak memory in MB of this process and of its workers."""
    frames, crops = frames_of(name, Path(root), int(count)), preprocess.size(64, 1.5)
    with tempfile.TemporaryDirectory() as notes:
        read = functools.partial(read_and_note, DATASETS[name].read, Path(notes))
        start = time.perf_counter()
        store.write(out, {"train": preprocess.hands(frames, read, crops, name)}, {})
        seconds = time.perf_counter() - start
        print(seconds, peak_mb(), *(path.read_text() for path in Path(notes).iterdir()))


def read_and_note(read: Callable, notes: Path, frame: object) -> list:
    """A worker notes its peak memory: nobody else can see it, since rusage begins with what the parent had."""
    samples = read(frame)
    if random.random() < 0.02:
        (notes / str(os.getpid())).write_text(str(peak_mb()))
    return samples


def peak_mb() -> float:
    """Of this process, its start as a copy of another one left out (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def decode_once(root: str, count: str) -> None:
    """The same RHD images, decoded one after the other on one core: prints the seconds."""
    frames = frames_of("rhd", Path(root), int(count))
    start = time.perf_counter()
    for frame in frames:
        split, name = frame.root / frame.split, f"{frame.index:05d}.png"
        png.read_rgb_u8(split / "color" / name)
        png.read_grey_u8(split / "mask" / name)
    print(time.perf_counter() - start)


def measured(*arguments: str) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.preprocessing", *arguments]
    return [
        float(word) for word in subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    ]


def decoding(roots: dict[str, Path], out: str) -> list[Row]:
    """Pinned to one core each, in alternation, because machines drift."""
    rates = []
    for _ in range(2):
        (bare_s,) = measured("decode", str(roots["rhd"]), str(LONG))
        seconds = measured("once", "rhd", str(roots["rhd"]), str(LONG), out)[0] * workers.cores()
        rates.append((LONG / bare_s, LONG / seconds))
    bare, ours = (max(column) for column in zip(*rates, strict=True))
    text = f"{ours:.0f} images/s a core, decoding alone {bare:.0f}"
    return [(f"rhd: preprocessing {LONG:,} images", text, "half of decoding alone", f"{2 * ours / bare:.2f}")]


def scaling(roots: dict[str, Path], out: str) -> list[Row]:
    """A set ten times as large: start-up, taken from a set twice as large, is not part of the comparison."""
    found = []
    for name, root in roots.items():
        short, twice, long = (measured("once", name, str(root), str(count), out) for count in (SHORT, 2 * SHORT, LONG))
        start_s = max(0.0, 2 * short[0] - twice[0])
        ratio = (long[0] - start_s) / (short[0] - start_s) / 10
        memory = f"{max(short[1:]):.0f} MB for {SHORT}, {max(long[1:]):.0f} MB for {LONG:,} frames"
        seconds = f"{short[0]:.1f} s for {SHORT}, {long[0]:.1f} s for {LONG:,}, start-up {start_s:.1f} s"
        found += [
            (f"{name}: peak memory of a process", memory, "1,500 MB, flat", f"{max(long[1:]) / max(short[1:]):.2f}"),
            (f"{name}: time without start-up", seconds, "10 times, 15 % more or less", f"{ratio:.2f}"),
        ]
    return found


def rows(folder: Path) -> list[Row]:
    from handvae.synthetic.generate import generate  # torch: not in the processes that are measured

    sizes = params.load().profile.synthetic
    roots = {name: folder / name for name in DATASETS}
    for name, root in roots.items():
        if not root.is_dir():
            generate(name, root, sizes[name], 0, workers.cores())
    out = str(folder / "out.h5")
    return [*decoding(roots, out), *scaling(roots, out)]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["once", *arguments]:
            preprocess_once(*arguments)
        case ["decode", *arguments]:
            decode_once(*arguments)
        case [folder]:
            for row in rows(Path(folder)):
                print("| " + " | ".join(row) + " |")
        case _:
            sys.exit(f"error: {__doc__.splitlines()[2]}")
