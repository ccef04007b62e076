"""Time and memory with more data: what is flat, what linear.

Checking and preprocessing, loading, a training step. All five sets, rendered into the folder or taken from there, with
4 and 16 times their images (the same ones under more names), or with --published at a tenth of their published sizes
and at about these. The time of a few frames is start-up and not compared.
"""

import sys
import time
from pathlib import Path
from typing import NamedTuple

import yaml

from benchmarks import data, measure, training
from benchmarks.larger_sets import LARGER
from handvae.base import workers
from handvae.datasets import png
from handvae.datasets.sets import DATASETS
from handvae.model import batches, parts
from handvae.model import training as own
from handvae.model.settings import settings_of
from handvae.preprocessing import store
from handvae.synthetic.generate import generate
from stages import command_line, run

BASE = {
    "rhd": {"training": 1500, "evaluation": 300, "image_px": 160},
    "stb": {"sequence": 50, "background_frames": 25},
    "icvl": {"training": 1000, "evaluation": 200},
    "nyu": {"training": 1000, "evaluation": 200},
    "msra": {"gesture": 8},
}
TIMES = (1, 4, 16)  # the base
PUBLISHED = {"rhd": 30, "stb": 30, "icvl": 20, "nyu": 70, "msra": 60}  # times the base
EXPERIMENT_OF = {"rhd": "rhd-rgb-v1", "icvl": "icvl-resnet18"}  # that is trained for a moment on the larger sets
BLOCKS = 5
DECODED = 1000


class Run(NamedTuple):
    """The cost of preprocessing one size of a set."""

    images: int
    seconds: float
    peak_mb: float
    h5: Path


class Trained(NamedTuple):
    load_s: float
    load_mb: float  # by which the peak rose
    rate: float  # samples/s


def rows(
    folder: Path, profile: str, names: tuple[str, ...] = tuple(EXPERIMENT_OF), times: tuple[int, ...] = TIMES
) -> list[measure.Row]:
    return [row for name in names for row in set_rows(folder / "growth", profile, name, times)]


def set_rows(folder: Path, profile: str, name: str, times: tuple[int, ...]) -> list[measure.Row]:
    """The rows of one set, at some multiples of the base's images."""
    few = yaml.safe_load(data.PARAMS.read_text())["profiles"]["tiny"]["synthetic"][name]
    tiny = staged(folder, profile, name, rendered(folder / f"{name}-tiny", name, few))
    base = rendered(folder / f"{name}-base", name, BASE[name])
    roots = {number: enlarged(base, name, number) for number in times}
    runs = {number: staged(folder, profile, name, root) for number, root in roots.items()}
    measured = preprocessing_rows(name, tiny, runs)
    if name == "rhd":
        measured.append(decoding_row(tiny, runs[max(times)], roots[max(times)]))
    if name in EXPERIMENT_OF:
        measured += training_rows(folder, profile, name, runs)
    return measured


def rendered(root: Path, name: str, sizes: dict[str, int]) -> Path:
    """The set at these sizes, rendered unless it is there."""
    if not root.is_dir():
        generate(name, root, sizes, 0, workers.cores())
    return root


def enlarged(base: Path, name: str, times: int) -> Path:
    """The set with so many times the images, unless it is there."""
    root = base.with_name(f"{base.name}-{times}")
    if times == 1:
        return base
    if not root.is_dir():
        LARGER[name](base, work := root.with_name(f"{root.name}.partial"), times)
        work.rename(root)
    return root


def staged(folder: Path, profile: str, name: str, root: Path) -> Run:
    """Check and preprocess a set as the two stages do."""
    work = data.workspace(folder / f"stages-{root.name}", profile)
    tree = yaml.safe_load((work / "params.yaml").read_text())
    tree["data"][name]["source"] = str(root.resolve())
    (work / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    finished = [data.stage(work, stage, name) for stage in ("download", "preprocess")]
    seconds, peak_mb = sum(stage.seconds for stage in finished), max(stage.peak_mb for stage in finished)
    return Run(images(name, root), seconds, peak_mb, work / "data" / "processed" / f"{name}.h5")


def images(name: str, root: Path) -> int:
    """How many images the set holds that are preprocessed."""
    splits = DATASETS[name].inspect(root)["splits"].values()
    return sum(facts.get("images", facts["frames"]) for facts in splits)


def sizes_text(runs: dict[int, Run]) -> str:
    return ", ".join(f"{run.images:,}" for run in runs.values()) + " images"


def grown(values: list[float], sizes: list[int]) -> measure.Spread:
    """The growth of the value between the two largest sizes, over that of the size. 1: linear.

    At smaller sizes what does not grow is too large a part.
    """
    (a, b), (m, n) = values[-2:], sizes[-2:]
    return measure.spread([(b / a) / (n / m)])


def preprocessing_rows(name: str, tiny: Run, runs: dict[int, Run]) -> list[measure.Row]:
    by_size = list(runs.values())
    seconds = [run.seconds - tiny.seconds for run in by_size]
    first, last = by_size[0], by_size[-1]
    held_kb = 1024 * (last.peak_mb - first.peak_mb) / (last.images - first.images)
    text = f"{', '.join(f'{s:.1f}' for s in seconds)} s after {tiny.seconds:.1f} s of start-up"
    memory = f"{', '.join(f'{run.peak_mb:,.0f}' for run in by_size)} MB, {held_kb:.1f} KB more an image: its labels"
    linear, sizes = grown(seconds, [run.images for run in by_size]), sizes_text(runs)
    flat = measure.spread([last.peak_mb / first.peak_mb])
    return [
        measure.Row(f"{name}: preprocessing, time", text, sizes, linear, "1.00, linear", last.peak_mb),
        measure.Row(f"{name}: preprocessing, memory", memory, sizes, flat, "nearly flat", last.peak_mb),
    ]


def decoding_row(tiny: Run, run: Run, root: Path) -> measure.Row:
    rate = run.images / (run.seconds - tiny.seconds) / workers.cores()
    bare = images_a_second_decoded(root)
    what = f"rhd: preprocessing, {run.images:,} images, a core"
    against = f"decoding its PNG files alone, {bare:,.0f} images/s"
    return measure.Row(what, f"{rate:,.0f} images/s", against, measure.spread([rate / bare]), "0.50", run.peak_mb)


def images_a_second_decoded(root: Path) -> float:
    """Of colour and mask images of RHD's training split, one after the other on one core."""
    paths = sorted((root / "training/color").iterdir())[:DECODED]
    start = time.perf_counter()
    for path in paths:
        png.read_rgb_u8(path)
        png.read_grey_u8(path.parent.parent / "mask" / path.name)
    return len(paths) / (time.perf_counter() - start)


def training_rows(folder: Path, profile: str, name: str, runs: dict[int, Run]) -> list[measure.Row]:
    workspace, experiment = data.workspace(folder / "training", profile), EXPERIMENT_OF[name]
    measured = [measure.apart(loaded_and_trained, workspace, experiment, run.h5) for run in runs.values()]
    trained, peak_mb = [result for result, _ in measured], max(peak for _, peak in measured)
    hands = [store.rows(run.h5, ["train"]) for run in runs.values()]
    load_s = ", ".join(f"{result.load_s:.2f}" for result in trained) + " s"
    load_mb = ", ".join(f"{result.load_mb:,.0f}" for result in trained) + " MB"
    rates = ", ".join(f"{result.rate:,.0f}" for result in trained) + " samples/s"
    flat = measure.spread(result.rate / trained[0].rate for result in trained[1:])
    loads, sizes = grown([result.load_mb for result in trained], hands), sizes_text(runs)
    return [
        measure.Row(f"{name}: loading for training", f"{load_s}, {load_mb}", sizes, loads, "1.00, linear", peak_mb),
        measure.Row(f"{name}: training", rates, sizes, flat, "1.00, flat", peak_mb),
    ]


def loaded_and_trained(workspace: Path, experiment: str, h5: Path) -> Trained:
    """Load a training split and train for a few blocks."""
    device = training.prepare_process()
    settings = training.endless(settings_of(data.loaded(workspace), experiment))
    before_mb, start = measure.peak_mb("self"), time.perf_counter()
    split = batches.load_split([parts.whole(h5, ["train"])], True, settings.joint_unit_mm, device)
    load_s, load_mb = time.perf_counter() - start, measure.peak_mb("self") - before_mb
    run = own.Run(settings, device)
    training.loop_rate(run, split)  # warms up
    return Trained(load_s, load_mb, training.loop_rate(run, split, BLOCKS))


def main(*words: str) -> None:
    parser = command_line("benchmarks.growth", __doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--published", action="store_true")
    given = parser.parse_args(words)
    from benchmarks import page  # pandas: not in the processes whose memory is measured

    measured = []
    for name in DATASETS:
        times = (PUBLISHED[name] // 10, PUBLISHED[name]) if given.published else TIMES
        measured += rows(given.folder, "small", (name,), times)
    print(page.table(measured))


if __name__ == "__main__":
    run(main, *sys.argv[1:])
