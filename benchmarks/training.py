"""The training loop against the bare network: forward, backward and optimiser step on a resident random batch."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks import data, measure
from handvae.base import params
from handvae.base.sections import HEATMAPS
from handvae.evaluation import metrics, predict
from handvae.model import batches, devices, networks, parts, training, vae
from handvae.model.draws import BLOCK
from handvae.model.settings import Settings, settings_of
from handvae.preprocessing import store

ROUNDS = 7  # of the loop and the bare network in turn, after one that warms up
HANDS = 500
HELD_TO = "0.95"

Batch = dict[str, torch.Tensor]


def rows(folder: Path, profile: str) -> list[measure.Row]:
    """A line for each type of grid row, each measured in a process of its own."""
    workspace = data.workspace(folder / "training", profile)
    return [row(name, workspace) for name in representatives(data.loaded(workspace))]


def row(name: str, workspace: Path) -> measure.Row:
    (settings_text, loop, bare, ratio), peak_mb = measure.apart(compare, name, workspace, ROUNDS)
    rate, against = f"{loop.text(0)} samples/s", f"bare network, {bare.median:,.0f} samples/s"
    return measure.Row(f"training step, {settings_text}", rate, against, ratio, HELD_TO, peak_mb)


def representatives(loaded: params.Params) -> list[str]:
    """The first grid row of each type: rows that differ in set, seed, fold, labels or invariances cost the same."""
    first: dict[tuple, str] = {}
    for name, experiment in loaded.experiments.items():
        first.setdefault((experiment.input, str(experiment.variant), experiment.encoder), name)
    return list(first.values())


def compare(name: str, workspace: Path, rounds: int) -> tuple[str, measure.Spread, measure.Spread, measure.Spread]:
    """The type of an experiment in words; samples/s of its loop and of its bare network; their ratio."""
    loaded = data.loaded(workspace)
    device = prepare_process()
    settings = endless(settings_of(loaded, name))
    with tempfile.TemporaryDirectory() as folder:
        path = random_set(Path(folder) / "set.h5", settings, round(settings.crop_px * loaded.profile.context))
        split = batches.load_split([parts.whole(path, ["train"])], settings.uses_images, settings.joint_unit_mm, device)
    run = training.Run(settings, device)
    batch = random_batch(settings, device)
    noise = torch.randn(len(settings.pairs), settings.training.batch_size, networks.LATENT, device=device)
    sides = {"loop": lambda: loop_rate(run, split), "bare": lambda: bare_rate(run, batch, noise)}
    rates = measure.alternating(sides, rounds)
    experiment = settings.experiment
    encoder = "" if experiment.input == "joints_2d" else f", {experiment.encoder}"
    text = f"{experiment.input}{encoder}, variant {experiment.variant}, batch {settings.training.batch_size}"
    loop, bare = map(measure.spread, rates.values())
    return text, loop, bare, measure.ratios(rates["loop"], rates["bare"])


def prepare_process() -> torch.device:
    """The device, and the process set up for it, as stages.train does: on the CPU one thread, whatever there is."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    devices.make_repeatable(device)
    devices.keep_freed_memory()
    return device


def endless(settings: Settings) -> Settings:
    """The same settings with steps enough for any measurement."""
    return replace(settings, training=replace(settings.training, steps=10**6))


def loop_rate(run: training.Run, split: batches.Split, blocks: int = 1) -> float:
    """Samples/s of the real loop: batches drawn and warped, terms checked."""
    start, before = time.perf_counter(), run.step
    for _ in range(blocks):
        training.train_block(run, split)  # ends with a copy of the terms to the CPU, so the device has finished
    return (run.step - before) * run.settings.training.batch_size / (time.perf_counter() - start)


def bare_rate(run: training.Run, batch: Batch, noise: torch.Tensor) -> float:
    """Samples/s of a block of steps on one resident batch."""
    start = time.perf_counter()
    for _ in range(BLOCK):
        bare_step(run, batch, noise)
    if run.device.type == "cuda":
        torch.cuda.synchronize()
    return BLOCK * run.settings.training.batch_size / (time.perf_counter() - start)


def bare_step(run: training.Run, batch: Batch, noise: torch.Tensor) -> None:
    """Forward, backward and optimiser step of every pair on one batch, and nothing else; `noise` (pairs, B, 30)."""
    settings, model = run.settings, run.model
    for step in training.encodings(settings, all_labelled=True):
        for optimiser in run.optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss = 0.0
        with torch.autocast(run.device.type, torch.bfloat16, enabled=run.mixed_precision):
            for numbers in step:
                source, targets = settings.pairs[numbers[0]][0], tuple(settings.pairs[n][1] for n in numbers)
                terms = run.terms(model, source, targets, batch, noise[: len(numbers)], settings.loss)
                loss = loss + terms[:, 0].sum() + settings.loss.kl_weight * terms[:, 1].sum()
        loss.backward()
        for optimiser in run.optimisers:
            optimiser.step()


def errors_mm(model: vae.CrossModalVAE, settings: Settings, split: batches.Split) -> np.ndarray:
    """Errors (N, J) in mm of the joints that a model predicts for the rows of a split. Leaves it in evaluation mode."""
    predicted_mm = predict.predict_joints_mm(model.eval(), settings.encoded, split)
    return metrics.joint_errors_mm(predicted_mm, split.true_mm().cpu().numpy())


def random_batch(settings: Settings, device: torch.device) -> Batch:
    size, px = settings.training.batch_size, settings.crop_px
    images = {
        name: (torch.rand(size, channels, px, px) - 0.5).to(device, memory_format=torch.channels_last)
        for name, channels in vae.IMAGE_CHANNELS.items()
    }
    side = torch.eye(2)[torch.arange(size) % 2].to(device)
    joints = {
        name: torch.randn(size, dimensions * len(settings.skeleton)).to(device)
        for name, dimensions in vae.DIMENSIONS.items()
    }
    place = 1.6 * torch.rand(size, 2 * len(settings.skeleton)).to(device) - 0.8
    return {"side_onehot": side, HEATMAPS: place, **images, **joints}


def random_set(path: Path, settings: Settings, context_px: int, hands: int = HANDS) -> Path:
    """A data file of random hands at the profile's size, colour or depth."""
    rng = np.random.default_rng(0)
    depth, joints = settings.experiment.input == "depth", len(settings.skeleton)

    def generate():
        for number in range(hands):
            common = {
                "joints_mm": rng.normal(0, 50, (joints, 3)).astype(np.float32) + np.float32([0, 0, 600]),
                "uv_px": rng.uniform(20, context_px - 20, (joints, 2)).astype(np.float32),
                **{"camera": np.eye(3), "side": number % 2, "trainable": True, "frame": number, "moment": str(number)},
                **{"name": str(number), "subject": "", "sequence": ""},
            }
            if depth:
                image = rng.uniform(-1, 1, (context_px, context_px)).astype(np.float16)
                yield dict(depth_f16=image, centre_mm=np.float32([0, 0, 600]), cube_mm=250.0, **common)
            else:
                image = rng.integers(0, 256, (context_px, context_px, 3), np.uint8)
                visible = np.ones(joints, bool)
                yield dict(image_u8=image, visible=visible, scale_bone_mm=49.0, **common)

    store.write(path, {"train": generate()}, {"crop_px": settings.crop_px, "context_px": context_px})
    return path
