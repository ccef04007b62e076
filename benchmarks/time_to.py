"""Time to an error: training that is evaluated now and then on the validation part, the clock stopped meanwhile.

One process a core, each another seed, as the grid runs them. No test split is looked at.
"""

import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks import data, measure, training
from handvae.base import workers
from handvae.evaluation import metrics
from handvae.model import batches, parts
from handvae.model import training as own
from handvae.model.draws import BLOCK
from handvae.model.settings import settings_of

GOALS_MM = {"rhd-rgb-v1": 30.0, "stb-rgb-v1": 15.0}
SEEDS = 2
EVERY_STEPS = 10 * BLOCK
LIMIT_S = 480.0  # of training; a goal not reached by then is reported as that
VALIDATION = 0.1
SIZES: dict[str, dict[str, int]] = {}  # of the sets, where not the profile's


class Reached(NamedTuple):
    seconds: float | None  # None: the goal was not reached
    step: int
    best_mm: float
    peak_mb: float


def rows(folder: Path, profile: str, goals_mm: dict[str, float] = GOALS_MM) -> list[measure.Row]:
    workspace = data.workspace(folder / "time_to", profile, SIZES)
    return [row(workspace, profile, name, goal_mm) for name, goal_mm in goals_mm.items()]


def row(workspace: Path, profile: str, name: str, goal_mm: float) -> measure.Row:
    for dataset in data.loaded(workspace).experiment(name).datasets:
        data.prepared(workspace, dataset)
    processes = min(SEEDS, workers.cores())
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        runs = list(
            pool.map(reach, *zip(*((workspace, name, goal_mm, seed, VALIDATION) for seed in range(SEEDS)), strict=True))
        )
    steps = f"{settings_of(data.loaded(workspace), name).training.steps:,}"
    what = f"{name}, profile {profile} ({steps} steps), to {goal_mm:g} mm on the validation part, {processes} at a time"
    return measure.Row(what, text(runs), peak_mb=max(run.peak_mb for run in runs))


def text(runs: Sequence[Reached]) -> str:
    """The time of each seed, or its best error."""
    return "; ".join(
        f"not reached: {run.best_mm:.1f} mm in {run.step:,} steps"
        if run.seconds is None
        else f"{run.seconds:.0f} s, {run.step:,} steps"
        for run in runs
    )


def reach(workspace: Path, name: str, goal_mm: float, seed: int, validation: float) -> Reached:
    """Train one seed until the goal, the end of its steps, or LIMIT_S; `validation`: the share held out."""
    loaded = data.loaded(workspace)
    settings, device = settings_of(loaded, name, seed), training.prepare_process()
    experiment = replace(settings.experiment, validation=validation)
    settings = replace(settings, experiment=experiment)
    processed = workspace / "data" / "processed"
    trained_on = parts.training_parts(processed, experiment)
    scored = parts.scored_part(processed, experiment, experiment.dataset)
    split, held_out = (
        batches.load_split(rows, settings.uses_images, settings.joint_unit_mm, device)
        for rows in (trained_on, [scored])
    )
    run, visible = own.Run(settings, device), scored.column("visible")
    seconds, best_mm = 0.0, float("inf")
    while run.step < settings.training.steps and seconds < LIMIT_S:
        start = time.perf_counter()
        for _ in range(EVERY_STEPS // BLOCK):
            if run.step < settings.training.steps:
                own.train_block(run, split)
        seconds += time.perf_counter() - start
        errors_mm = training.errors_mm(run.model, settings, held_out)
        best_mm = min(best_mm, metrics.mean_over_joints(errors_mm, visible))
        print(f"{name} seed {seed}: step {run.step:,}, {seconds:.0f} s, {best_mm:.1f} mm", file=sys.stderr, flush=True)
        if best_mm <= goal_mm:
            return Reached(seconds, run.step, best_mm, measure.peak_mb("self"))
    return Reached(None, run.step, best_mm, measure.peak_mb("self"))
