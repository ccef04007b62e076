"""`make bench`: speed and memory of every part, each beside what it is held to. Machines are noisy: read the ratios.

python -m benchmarks.bench [--quick]; --quick leaves out the whole pipeline (`dvc repro` in a fresh clone, minutes).
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks import training as training_benchmark
from handvae import params, preprocess, store, training, workers
from handvae.datasets import png, rhd
from handvae.synthetic.generate import generate

RENDERED = 400
SHORT, LONG = 200, 800  # frames of the memory comparison

Row = tuple[str, str, str, str]  # what, measured, held to, ratio


def rendering(folder: Path) -> list[Row]:
    """RHD's layout at 320 x 320 on all cores: worker start-up, poses, pictures, labels and PNG files included."""
    start = time.perf_counter()
    sizes = {"training": RENDERED - 20, "evaluation": 20, "image_px": 320}
    generate("rhd", folder / "rendered", sizes, 0, workers.cores())
    rate = RENDERED / (time.perf_counter() - start)
    return [
        (f"rendering, 320 px, {workers.cores()} processes", f"{rate:.1f} images/s", "35 images/s", f"{rate / 35:.2f}")
    ]


def preprocessing(folder: Path) -> list[Row]:
    """Peak memory and rate for a short and a long set, each in a process of its own; decoding alone beside it."""
    peaks, rates = [], []
    for frames in (SHORT, LONG):
        root = folder / f"frames-{frames}"
        _repeat_frames(folder / "rendered", root, frames)
        command = [sys.executable, "-m", "benchmarks.bench", "preprocess", str(root), str(folder / "out.h5")]
        peak_mb, seconds = map(
            float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        )
        peaks.append(peak_mb)
        rates.append(frames / seconds)
    start = time.perf_counter()
    for path in sorted((folder / "rendered/training/color").iterdir())[:SHORT]:
        png.read_rgb_u8(path)
        png.read_grey_u8(path.parents[1] / "mask" / path.name)
    decode_rate = workers.cores() * SHORT / (time.perf_counter() - start)
    growth = f"{peaks[0]:.0f} MB for {SHORT}, {peaks[1]:.0f} MB for {LONG} frames"
    rate = f"{rates[1]:.0f} frames/s, decoding alone {decode_rate:.0f}"
    return [
        ("preprocessing, peak memory of a process", growth, "the same", f"{peaks[1] / peaks[0]:.2f}"),
        ("preprocessing, all cores", rate, "half of decoding alone", f"{2 * rates[1] / decode_rate:.2f}"),
    ]


def _repeat_frames(rendered: Path, root: Path, frames: int) -> None:
    """A set of any length from the rendered frames, repeated by links."""
    annotations = rhd.read_annotations(rendered, "training")
    order = [number % len(annotations) for number in range(frames)]
    for kind in ("color", "mask"):
        (root / "training" / kind).mkdir(parents=True)
        for number, source in enumerate(order):
            (root / "training" / kind / f"{number:05d}.png").symlink_to(rendered / f"training/{kind}/{source:05d}.png")
    uv_px, visible, xyz_m, K = (
        np.stack([getattr(annotations[source], key) for source in order]) for key in ("uv_px", "visible", "xyz_m", "K")
    )
    rhd.write_annotations(root / "training", np.concatenate([uv_px, visible[..., None]], axis=2), xyz_m, K)


def preprocess_once(root: str, out: str) -> None:
    """In a process of its own: prints the peak memory of this process or its largest worker, and the seconds."""
    start = time.perf_counter()
    hands = preprocess.rhd_hands(Path(root), "training", "dominant", [], preprocess.size(64, 1.5))
    store.write(out, {"train": hands}, {})
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(max(peaks) / 1024, time.perf_counter() - start)


def training_loop() -> list[Row]:
    """Every experiment's loop against its bare model, in alternating rounds, at the profile of params.yaml."""
    training.keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loaded = params.load()
    rows = []
    for name in loaded.experiments:
        loop, bare, ratio = training_benchmark.compare(name, loaded, device)
        measured = f"{loop:,.0f} samples/s, bare model {bare:,.0f}"
        rows.append(
            (f"training loop, {name}, {device.type}", measured, "0.95 of the bare model", f"{ratio / 0.95:.2f}")
        )
    return rows


def whole_pipeline(folder: Path) -> list[Row]:
    """`dvc repro` in a fresh clone of HEAD, and once more with nothing to do."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", ".", clone], check=True)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        subprocess.run(["dvc", "repro"], cwd=clone, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return [
        ("dvc repro from nothing", f"{seconds[0] / 60:.1f} min", "10 min", f"{seconds[0] / 600:.2f}"),
        ("dvc repro with nothing to do", f"{seconds[1]:.1f} s", "5 s", f"{seconds[1] / 5:.2f}"),
    ]


def main(*arguments: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [*rendering(folder), *preprocessing(folder), *training_loop()]
        if "--quick" not in arguments:
            rows += whole_pipeline(folder)
    print(f"\n{torch.get_num_threads()} threads, torch {torch.__version__}, profile {params.load().profile_name}\n")
    rows = [("what", "measured", "held to", "ratio"), ("---", "---", "---", "---"), *rows]
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["preprocess"]:
        preprocess_once(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
