"""Training against MultiVae's trainer (PyPI `multivae`): same networks and start, data, augmentation, loss, batches.

It has Adam, float32 and a cosine an epoch; ours is as the profile says, and once more with Adam in float32, so that
trainer and optimiser can be told apart.

Variant 1, RGB -> 3D, is MultiVae's CVAE whose posterior sees only what it is conditioned on, the picture and the hand
side, whose decoder sees only z, and whose prior is N(0, I): with normal errors of variance 1/2 and beta = kl_weight its
loss is ours, term by term. Its joint models (JMVAE, MVAE, MMVAE) need a decoder and a reconstruction of each modality.
MultiVae has an environment of its own, .bench-venv; `benchmarks.multivae_run` runs there.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from benchmarks import data, measure, training
from handvae.base.errors import InputError
from handvae.evaluation import metrics
from handvae.model import batches, parts
from handvae.model import training as own
from handvae.model.settings import Settings, settings_of
from handvae.model.vae import CrossModalVAE

EXPERIMENT = "rhd-rgb-v1"
SIZES = {"rhd": {"training": 1500, "evaluation": 300}}
ENVIRONMENT = measure.REPOSITORY / ".bench-venv"
PACKAGES = ["multivae==1.0.3", "pythae==0.1.2"]
EPOCHS, SEEDS = 5, 3
HELD_TO = "1.5"
ADAM_RATE = 1e-3  # of the best among 5e-4, 1e-3 and 2e-3 for Adam alone at this size


@dataclass(frozen=True)
class Trainer:
    """How MultiVae's trainer is used."""

    threads: int
    workers: int = 0  # of its DataLoader
    augmented: bool = True


TRAINERS = {
    "one thread as ours": Trainer(1),
    "one thread and 2 loader workers": Trainer(1, 2),
    "one thread, no augmentation": Trainer(1, augmented=False),
}


def rows(folder: Path, profile: str) -> list[measure.Row]:
    """Seconds and test error after the same steps; each round is another seed."""
    python = environment()
    workspace = data.workspace(folder / "multivae", profile, SIZES)
    data.prepared(workspace, "rhd")
    sides = {
        "ours": lambda seed: measure.apart(ours, workspace, EPOCHS, seed, False)[0],
        "ours with Adam in float32": lambda seed: measure.apart(ours, workspace, EPOCHS, seed, True)[0],
    }
    for name, trainer in TRAINERS.items():
        sides[f"MultiVae's trainer, {name}"] = lambda seed, trainer=trainer: theirs(
            python, workspace, trainer, EPOCHS, seed
        )
    rounds = [{name: side(seed) for name, side in sides.items()} for seed in range(SEEDS)]
    our_runs, *others = ([results[name] for results in rounds] for name in sides)
    return [row for name, runs in zip(list(sides)[1:], others, strict=True) for row in rows_of(name, our_runs, runs)]


def rows_of(name: str, our_runs: list[dict[str, float]], runs: list[dict[str, float]]) -> list[measure.Row]:
    """Two lines on another trainer: its seconds and its test error against ours."""
    steps = f"{our_runs[0]['steps']} steps of {our_runs[0]['batch_size']}"
    lines = (
        (f"training, {EXPERIMENT}, {steps}, one thread", "seconds", "s", HELD_TO, our_runs),
        (f"test error after these steps, {len(runs)} seeds", "epe_mm", "mm", "1.00", runs),
    )
    rows = []
    for what, key, unit, held_to, largest in lines:
        our, their = ([run[key] for run in side] for side in (our_runs, runs))
        our_text, their_text = (f"{measure.spread(values).text(1)} {unit}" for values in (our, their))
        peak_mb = max(run["peak_mb"] for run in largest)
        rows.append(measure.Row(what, our_text, f"{name}: {their_text}", measure.ratios(their, our), held_to, peak_mb))
    return rows


def environment() -> Path:
    """The Python of MultiVae's environment, made if need be. InputError if it cannot be.

    It sees this environment's packages through a .pth file, so that torch is the same one and is not loaded twice.
    """
    ready, python = ENVIRONMENT / ".ready", ENVIRONMENT / "bin" / "python"
    wanted = f"{sys.executable} {torch.__version__} {' '.join(PACKAGES)}\n"
    if ready.is_file() and ready.read_text() == wanted:
        return python
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    packages = sysconfig.get_paths()["purelib"]
    subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    inside = next(ENVIRONMENT.glob("lib/python*/site-packages"))
    (inside / "shared.pth").write_text(packages + "\n")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"torch=={released()}"]
    result = subprocess.run([*install, *PACKAGES], capture_output=True, text=True)
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(f"{ENVIRONMENT.name}: expected to install {', '.join(PACKAGES)} by pip: {reason}")
    ready.write_text(wanted)
    return python


def released() -> str:
    """The version of torch, the same in both environments."""
    return importlib.metadata.version("torch")


def settings_for(workspace: Path, epochs: int, seed: int) -> tuple[Settings, list[parts.Part]]:
    """The experiment with as many steps as whole batches fit into the epochs, and its training rows."""
    settings = settings_of(data.loaded(workspace), EXPERIMENT, seed)
    trained_on = parts.training_parts(workspace / "data" / "processed", settings.experiment)
    steps = epochs * (int(trained_on[0].rows.sum()) // settings.training.batch_size)
    return replace(settings, training=replace(settings.training, steps=steps)), trained_on


def ours(workspace: Path, epochs: int, seed: int, adam: bool) -> dict[str, float]:
    """Our training, in this process: seconds without loading, the test error, steps, memory."""
    device = training.prepare_process()
    settings, trained_on = settings_for(workspace, epochs, seed)
    if adam:
        plain = {"optimiser": "adam", "learning_rate": ADAM_RATE, "mixed_precision": False}
        settings = replace(settings, training=replace(settings.training, **plain))
    split = batches.load_split(trained_on, True, settings.joint_unit_mm, device)
    run = own.Run(settings, device)
    start = time.perf_counter()
    while run.step < settings.training.steps:
        own.train_block(run, split)
    return result(workspace, settings, run.model, time.perf_counter() - start)


def theirs(python: Path, workspace: Path, trainer: Trainer, epochs: int, seed: int) -> dict[str, float]:
    """MultiVae's, in its environment."""
    asked = json.dumps({"workspace": str(workspace), "epochs": epochs, "seed": seed, **asdict(trainer)})
    finished = measure.command([python, "-m", "benchmarks.multivae_run", asked], workspace)
    return json.loads(finished.output.strip().splitlines()[-1])


def result(workspace: Path, settings: Settings, model: CrossModalVAE, seconds: float) -> dict[str, float]:
    return {
        "seconds": seconds,
        "epe_mm": test_error_mm(workspace, settings, model),
        "steps": settings.training.steps,
        "batch_size": settings.training.batch_size,
        "peak_mb": measure.peak_mb(os.getpid()),
    }


def test_error_mm(workspace: Path, settings: Settings, model: CrossModalVAE) -> float:
    """Mean EPE on the test split."""
    scored = parts.scored_part(workspace / "data" / "processed", settings.experiment, "rhd")
    device = next(model.parameters()).device
    split = batches.load_split([scored], True, settings.joint_unit_mm, device)
    return metrics.mean_over_joints(training.errors_mm(model, settings, split), scored.column("visible"))
