"""Variant 5 and its parts against variant 1: training steps, and images predicted, with turned crops too."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import data, measure
from benchmarks.training import endless, loop_rate, prepare_process, random_set
from handvae.evaluation import predict
from handvae.model import batches, parts, training
from handvae.model.settings import settings_of

FIRST, OTHERS = "rhd-rgb-v1", ("rhd-rgb-v2", "rhd-rgb-maps", "rhd-rgb-product", "rhd-rgb-v5", "rhd-rgb-zb17")
TURNED = "rhd-rgb-v5"  # also with turned crops
ROUNDS = 7


def rows(folder: Path, profile: str) -> list[measure.Row]:
    """Two lines a row of the grid, each in a process of its own with variant 1, and one of turned crops."""
    workspace = data.workspace(folder / "beyond", profile)
    return [line for name in OTHERS for line in measure.apart(compare, name, workspace)[0]]


def compare(name: str, workspace: Path) -> list[measure.Row]:
    loaded, device = data.loaded(workspace), prepare_process()
    sides: dict[str, Callable[[], float]] = {}
    for row in (FIRST, name):
        settings = endless(settings_of(loaded, row))
        with tempfile.TemporaryDirectory() as scratch:
            path = random_set(Path(scratch) / "set.h5", settings, round(settings.crop_px * loaded.profile.context))
            split = batches.load_split(
                [parts.whole(path, ["train"])], settings.uses_images, settings.joint_unit_mm, device
            )
        run = training.Run(settings, device)
        sides[f"training step, {row}"] = lambda run=run, split=split: loop_rate(run, split)
        rotations_deg: dict[str, Sequence[float]] = {"": (0.0,)}
        if row == TURNED:
            rotations_deg[", turned crops"] = (0.0, *loaded.evaluation.turned_crops.rotation_deg)
        for text, angles in rotations_deg.items():
            sides[f"prediction, {row}{text}"] = lambda run=run, split=split, angles=angles: rate(run, split, angles)
    rates = measure.alternating(sides, ROUNDS)
    return [line(what, of_row, rates) for what, of_row in rates.items() if FIRST not in what]


def line(what: str, of_row: list[float], rates: dict[str, list[float]]) -> measure.Row:
    first = f"{what.partition(',')[0]}, {FIRST}"
    unit = "samples/s" if what.startswith("training") else "images/s"
    of_first = measure.spread(rates[first])
    against = f"variant 1, {of_first.median:,.0f} {unit}"
    return measure.Row(what, f"{measure.spread(of_row).text(0)} {unit}", against, measure.ratios(of_row, rates[first]))


def rate(run: training.Run, split: batches.Split, rotations_deg: Sequence[float]) -> float:
    """Images a second from the stored crops to joints in millimetres."""
    model = run.model.eval()
    start = time.perf_counter()
    predict.predict_joints_mm(model, run.settings.encoded, split, rotations_deg)
    return len(split) / (time.perf_counter() - start)
