"""The training loop against the bare model: forward, backward and step on a resident random batch."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch

from handvae.base import params
from handvae.model import batches, parts, training, vae
from handvae.model.settings import Settings, settings_of
from handvae.preprocessing import store

ROUNDS = 7  # of the loop and the bare model in turn, after one that warms up


def random_set(path: Path, settings: Settings, context_px: int, rows: int) -> Path:
    """A data file of random hands at the profile's size, colour or depth."""
    rng = np.random.default_rng(0)
    depth, joints = settings.experiment.input == "depth", len(settings.skeleton)

    def hands():
        for number in range(rows):
            common = {
                "joints_mm": rng.normal(0, 50, (joints, 3)).astype(np.float32) + np.float32([0, 0, 600]),
                "uv_px": rng.uniform(20, context_px - 20, (joints, 2)).astype(np.float32),
                **{"camera": np.eye(3), "side": number % 2, "trainable": True, "frame": number, "moment": str(number)},
                **{"name": str(number), "subject": "", "sequence": ""},
            }
            if depth:
                image = rng.uniform(-1, 1, (context_px, context_px)).astype(np.float16)
                yield store.DepthHand(depth_f16=image, centre_mm=np.float32([0, 0, 600]), cube_mm=250.0, **common)
            else:
                image = rng.integers(0, 256, (context_px, context_px, 3), np.uint8)
                visible = np.ones(joints, bool)
                yield store.ColourHand(image_u8=image, visible=visible, scale_bone_mm=49.0, **common)

    store.write(path, {"train": hands()}, {"crop_px": settings.crop_px, "context_px": context_px})
    return path


def kinds(loaded: params.Params) -> list[str]:
    """The first row of each kind of loop: rows that differ in set, seed, fold, labels or invariances cost the same."""
    first: dict[tuple, str] = {}
    for name, row in loaded.experiments.items():
        first.setdefault((row.input, str(row.variant), row.encoder), name)
    return list(first.values())


def loop_seconds(run: training.Run, split: batches.Split) -> float:
    """Seconds a step of the real loop: batches drawn and warped, terms checked."""
    start = time.perf_counter()
    before = run.step
    training.train_block(run, split)  # ends with a copy of the terms to the CPU, so the device has finished
    return (time.perf_counter() - start) / (run.step - before)


def bare_seconds(run: training.Run, batch: dict[str, torch.Tensor], noise: torch.Tensor) -> float:
    """Seconds a step of nothing but forward, backward and optimiser step of every pair on one resident batch."""
    settings = run.settings
    start = time.perf_counter()
    for _ in range(batches.BLOCK):
        optimiser = run.optimiser
        for pair in run.settings.pairs:
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast(run.device.type, torch.bfloat16, enabled=run.mixed_precision):
                reconstruction, kl = run.pair_terms(
                    run.model, pair, batch[pair[0]], batch[pair[1]], batch["side_onehot"], noise, settings.loss
                )
            (reconstruction + settings.loss.kl_weight * kl).backward()
            optimiser.step()
    if run.device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / batches.BLOCK


def random_batch(settings: Settings, device: torch.device) -> dict[str, torch.Tensor]:
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
    return {"side_onehot": side, **images, **joints}


def compare(name: str, loaded: params.Params, device: torch.device) -> tuple[float, float, float]:
    """(samples/s of the loop, samples/s of the bare model, median ratio of paired rounds) for one experiment."""
    settings = settings_of(loaded, name)
    long = replace(settings.training, steps=10**6)
    settings = replace(settings, training=long)
    context_px = round(settings.crop_px * loaded.profile.context)
    with tempfile.TemporaryDirectory() as folder:
        data = random_set(Path(folder) / "set.h5", settings, context_px, rows=500)
        split = batches.load_split([parts.whole(data, ["train"])], settings.uses_images, settings.joint_unit_mm, device)
    run = training.Run(settings, device)
    batch, noise = random_batch(settings, device), torch.randn(long.batch_size, 30, device=device)
    rounds = []
    for number in range(ROUNDS + 1):
        pair = loop_seconds(run, split), bare_seconds(run, batch, noise)
        rounds += [pair] * (number > 0)  # the first round warms up
    loop, bare = (long.batch_size / median(seconds) for seconds in zip(*rounds, strict=True))
    return loop, bare, median(bare_s / loop_s for loop_s, bare_s in rounds)
