"""Write synthetic hands as any of the five datasets: resumable, on several processes, always the same bytes.

Work goes on in `<root>.partial`: finished units of frames stay when a run is killed, and the next run goes on there.
"""

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from handvae.base.atomic import synced_together, write_bytes, write_text
from handvae.base.errors import InputError
from handvae.base.progress import Progress
from handvae.base.workers import in_order
from handvae.synthetic import colour_sets, depth_sets

VERSION = 5  # raise it whenever the same seed gives other pictures or labels
UNIT_FRAMES = 50
MAX_FRAMES = 999_999

Labels = dict[str, np.ndarray]


@dataclass(frozen=True)
class SyntheticSet:
    """How one dataset is rendered. A frame is a tuple (part of the set, number in it); sizes as in params.yaml."""

    frames: Callable[[dict[str, int | None]], list[tuple[str, int]]]
    # writes the images of frames below a folder and yields the labels of each: a function of the folder, the frame, the
    # seed and the sizes alone, whatever frames are asked for with it
    render: Callable[[Path, list[tuple[str, int]], int, dict[str, int | None]], Iterator[Labels]]
    # writes the label files from the labels of all frames, stacked
    write_labels: Callable[[Path, list[tuple[str, int]], Labels], None]


def _one_by_one(render: Callable[..., Labels]) -> Callable[..., Iterator[Labels]]:
    return lambda root, frames, seed, sizes: (render(root, frame, seed, sizes) for frame in frames)


SETS = {
    "rhd": SyntheticSet(colour_sets.rhd_frames, colour_sets.render_rhd, colour_sets.write_rhd_labels),
    "stb": SyntheticSet(colour_sets.stb_frames, _one_by_one(colour_sets.render_stb), colour_sets.write_stb_labels),
    "icvl": SyntheticSet(depth_sets.icvl_frames, _one_by_one(depth_sets.render_icvl), depth_sets.write_icvl_labels),
    "nyu": SyntheticSet(depth_sets.nyu_frames, _one_by_one(depth_sets.render_nyu), depth_sets.write_nyu_labels),
    "msra": SyntheticSet(depth_sets.msra_frames, _one_by_one(depth_sets.render_msra), depth_sets.write_msra_labels),
}


@dataclass(frozen=True)
class Unit:
    """Consecutive frames of a set. A killed run has rendered all of them or is taken to have rendered none."""

    number: int
    frames: list[tuple[str, int]]

    def labels_path(self, work: Path) -> Path:
        return work / "units" / f"{self.number:05d}.npz"


def generate(name: str, root: Path, sizes: dict[str, int | None], seed: int, processes: int) -> None:
    """Render the set `name` to `root` in its own layout; `sizes` as in profiles.<profile>.synthetic.<name>.

    The bytes depend on name, sizes and seed only. A finished set already at `root` is replaced at the very end.
    """
    rendered, root = SETS[name], Path(root)
    frames = rendered.frames(sizes)
    if len(frames) > MAX_FRAMES:
        raise InputError(f"{root}: expected at most {MAX_FRAMES:,} synthetic frames, found {len(frames):,} asked for")
    work = root.with_name(root.name + ".partial")
    _prepare(work, json.dumps({"version": VERSION, "set": name, "seed": seed, "sizes": sizes}, sort_keys=True))
    starts = range(0, len(frames), UNIT_FRAMES)
    units = [Unit(number, frames[start : start + UNIT_FRAMES]) for number, start in enumerate(starts)]
    missing = [unit for unit in units if not unit.labels_path(work).exists()]
    render = partial(_render_unit, name, work, seed, sizes)
    alone = processes == 1 or len(missing) < 2
    with Progress(f"render {name}", len(frames), "frames") as progress:
        progress.resume_at(len(frames) - sum(len(unit.frames) for unit in missing))
        for unit in map(render, missing) if alone else in_order(render, missing, processes):
            progress.advance(len(unit.frames))
    rendered.write_labels(work / "data", frames, _joined(work, units))
    if root.exists():
        shutil.rmtree(root)
    os.replace(work / "data", root)
    shutil.rmtree(work)


def _prepare(work: Path, recipe: str) -> None:
    """Keep what an interrupted run of the same recipe left; otherwise start afresh."""
    file = work / "recipe.json"
    if not ((work / "data").is_dir() and file.is_file() and file.read_text() == recipe):
        shutil.rmtree(work, ignore_errors=True)
        (work / "data").mkdir(parents=True)
        write_text(file, recipe)


def _render_unit(name: str, work: Path, seed: int, sizes: dict[str, int | None], unit: Unit) -> Unit:
    """Write a unit's images, then its labels: their file means that all its images are there."""
    with _one_thread(), torch.inference_mode(), synced_together():
        rows = list(SETS[name].render(work / "data", unit.frames, seed, sizes))
    buffer = io.BytesIO()
    np.savez(buffer, **{column: np.stack([row[column] for row in rows]) for column in rows[0]})
    write_bytes(unit.labels_path(work), buffer.getvalue())
    return unit


def _joined(work: Path, units: list[Unit]) -> Labels:
    parts = []
    for unit in units:
        with np.load(unit.labels_path(work), allow_pickle=False) as file:
            parts.append(dict(file))
    return {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}


@contextmanager
def _one_thread() -> Iterator[None]:
    """Two threads may round a sum differently, and one per process is faster."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
