"""The effect of a change of params.yaml: seconds and validation error of an experiment over seeds.

Trains the row of the grid (never looking at its test split) on what data/processed holds, one thread, and prints a line
a seed and their mean and standard deviation. `-S` as in `dvc exp run`, on a copy of params.yaml.
"""

import dataclasses
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.training import errors_mm
from handvae.base import params
from handvae.evaluation import metrics
from handvae.model import batches, parts, training
from handvae.model.devices import keep_freed_memory, make_repeatable
from handvae.model.settings import Settings, settings_of
from stages import command_line, run

PROCESSED = Path("data/processed")
CPU = torch.device("cpu")


def main(*arguments: str) -> None:
    parser = command_line("benchmarks.learning", __doc__)
    parser.add_argument("row")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--validation", type=float, default=0.1)
    parser.add_argument("-S", "--set-param", action="append", default=[], metavar="key=value")
    given = parser.parse_args(arguments)
    make_repeatable(CPU)
    keep_freed_memory()
    errors, seconds = [], []
    for seed in range(given.seeds):
        settings = settings_of(changed(given.set_param), given.row, seed)
        experiment = dataclasses.replace(settings.experiment, validation=given.validation)
        errors_of_sets, seconds_of_seed = trained(dataclasses.replace(settings, experiment=experiment))
        text = " / ".join(f"{mm:.2f} mm" for mm in errors_of_sets)
        print(f"{given.row} seed {seed}: {text}, {seconds_of_seed:.1f} s", flush=True)
        errors.append(errors_of_sets)
        seconds.append(seconds_of_seed)
    mean, spread = np.mean(errors, axis=0), np.std(errors, axis=0, ddof=min(1, given.seeds - 1))
    text = " / ".join(f"{mm:.2f} ± {sd:.2f}" for mm, sd in zip(mean, spread, strict=True))
    print(f"{given.row} {' '.join(given.set_param)}: {text} mm, {np.mean(seconds):.1f} s", flush=True)


def changed(overrides: list[str]) -> params.Params:
    """params.yaml with some keys changed, the file itself left alone."""
    from dvc.utils.hydra import apply_overrides

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "params.yaml"
        shutil.copy("params.yaml", copy)
        if overrides:
            apply_overrides(copy, overrides)
        return params.load(copy)


def trained(settings: Settings) -> tuple[list[float], float]:
    """The validation error in mm on each of the experiment's sets, and the seconds that training took."""
    experiment, unit_mm = settings.experiment, settings.joint_unit_mm
    rows = parts.training_parts(PROCESSED, experiment)
    split = batches.load_split(rows, settings.uses_images, unit_mm, CPU, experiment.label_fraction)
    model_run = training.Run(settings, CPU)
    start = time.perf_counter()
    while model_run.step < settings.training.steps:
        training.train_block(model_run, split)
    seconds = time.perf_counter() - start
    return [error_mm(model_run, dataset) for dataset in experiment.datasets], seconds


def error_mm(model_run: training.Run, dataset: str) -> float:
    """Mean EPE on the held-out rows of a set."""
    settings = model_run.settings
    scored = parts.scored_part(PROCESSED, settings.experiment, dataset)
    split = batches.load_split([scored], settings.uses_images, settings.joint_unit_mm, CPU)
    errors = errors_mm(model_run.model, settings, split)
    visible = np.ones(errors.shape, bool) if settings.experiment.input == "depth" else scored.column("visible")
    evaluated = list(settings.skeleton.evaluated)
    return metrics.mean_over_joints(errors[:, evaluated], visible[:, evaluated])


if __name__ == "__main__":
    run(main, *sys.argv[1:])
