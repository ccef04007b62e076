"""Speed and memory of every part, beside what it is held to. Usage: python -m benchmarks.bench [--quick]

Machines are noisy: read the ratios. --quick leaves out what takes a quarter of an hour or more: preprocessing at the
sets' published sizes and the whole pipeline (`dvc repro` in a fresh clone).
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks import preprocessing
from benchmarks import training as training_benchmark
from handvae.base import params, workers
from handvae.base.errors import InputError
from handvae.model import training
from handvae.synthetic.generate import generate
from stages import run

RENDERED = 400
PIPELINE = [sys.executable, "-m", "dvc", "repro"]

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


def training_loop() -> list[Row]:
    """Each kind of row's loop against its bare model, in alternating rounds, at the profile of params.yaml."""
    training.keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loaded = params.load()
    rows = []
    for name in training_benchmark.kinds(loaded):
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
        subprocess.run(PIPELINE, cwd=clone, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return [
        ("dvc repro from nothing", f"{seconds[0] / 60:.1f} min", "20 min", f"{seconds[0] / 1200:.2f}"),
        ("dvc repro with nothing to do", f"{seconds[1]:.1f} s", "5 s", f"{seconds[1] / 5:.2f}"),
    ]


def main(option: str = "") -> None:
    if option not in ("", "--quick"):
        raise InputError(f"benchmarks.bench: expected nothing or --quick, found {option!r}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [*rendering(folder), *training_loop()]
        if not option:
            rows += [*preprocessing.rows(folder), *whole_pipeline(folder)]
    print(f"\n{torch.get_num_threads()} threads, torch {torch.__version__}, profile {params.load().profile_name}\n")
    rows = [("what", "measured", "held to", "ratio"), ("---", "---", "---", "---"), *rows]
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
