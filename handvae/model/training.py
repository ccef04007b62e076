"""Algorithm 1: for each batch encode, sample, decode and step, pair by pair or for all at once. Checkpoints.

Settings and data decide a run. Interrupted at any moment and started again it ends with the same bytes.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from handvae.base.errors import InputError
from handvae.base.progress import Progress
from handvae.model import batches, checkpoints, devices, initial, interrupts, methods, optimisers, parts, records
from handvae.model.batches import Split
from handvae.model.draws import BLOCK, Draw, draw_block
from handvae.model.parts import Part
from handvae.model.records import History
from handvae.model.schedules import kl_weight, rate_share
from handvae.model.settings import Settings
from handvae.preprocessing import store

CHECKPOINT_EVERY_S = {"cpu": 30.0, "cuda": 300.0}  # by type of device; on Ctrl-C as well

Batches = dict[bool, dict[str, torch.Tensor]]  # samples for the pairs that need labels (True) and for the others


class Run:
    """A model with its optimisers, on a device, at some step.

    paper: "Adam" and a step on q_k and p_l a pair, nothing of its state; here the optimisers' state is one for all
    pairs, and a step moves the parameters that its pairs have used. In an encoder that two pairs share, the pair with
    the larger gradient then owns the second moments, so that the modality weights say how much an image counts against
    a pose: with an Adam a pair every pair moves the encoder alike, whatever its weight (docs/choices.md).
    """

    def __init__(self, settings: Settings, device: torch.device, init: Path | None = None):
        self.settings, self.device, self.step = settings, device, 0
        training = settings.training
        self.model = methods.build(settings.architecture, settings.experiment.seed)
        if init is not None:
            initial.start_from(self.model, init)
        self.model.to(device, memory_format=torch.channels_last)
        self.optimisers = optimisers.build(self.model, training)
        self.mixed_precision = training.mixed_precision and devices.has_bfloat16(device)
        self.terms = methods.terms_of(settings.architecture)
        if training.compile and device.type == "cuda":
            self.terms = devices.compiled(self.terms, device)

    def state(self) -> dict:
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
        }

    def load_state(self, state: dict) -> None:
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)


def encodings(settings: Settings, all_labelled: bool) -> list[list[list[int]]]:
    """The optimiser steps of one batch. A step is a list of encodings, an encoding the numbers of the pairs it serves.

    Alternating, as Algorithm 1, every pair has its own step. Jointly the pairs that see the same samples have one, on
    the sum of their losses, and those of one input share its encoding. Unlabelled samples keep a step of their own: in
    a common one images, of which there are more, would take the encoder from the few labels.
    """
    numbers = range(len(settings.pairs))
    if not settings.training.joint_steps:
        return [[[number]] for number in numbers]
    steps: dict[bool, dict[str, list[int]]] = {}
    for number in numbers:
        pair = settings.pairs[number]
        step = steps.setdefault(all_labelled or settings.needs_labels(pair), {})
        step.setdefault(pair[0], []).append(number)
    return [list(step.values()) for step in steps.values()]


def training_step(run: Run, step: list[list[int]], batches_of: Batches, noise: torch.Tensor) -> torch.Tensor:
    """One optimiser step on the encodings of `step`; returns the terms of its pairs, in its order, (pairs, 2).

    `batches_of`: the samples of the pairs that need labels (True) and of the others; `noise` (all pairs, B, 30).
    """
    settings = run.settings
    share = rate_share(run.step, settings.training)
    for optimiser in run.optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["initial_lr"] * share
        optimiser.zero_grad(set_to_none=True)  # without a gradient other pairs' parameters are left alone
    terms = []
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.mixed_precision):
        for numbers in step:
            pairs = [settings.pairs[number] for number in numbers]
            batch = batches_of[settings.needs_labels(pairs[0])]
            targets = tuple(target for _, target in pairs)
            # indexed by a list a GPU would wait for the CPU
            noise_of_pairs = torch.stack([noise[number] for number in numbers])
            terms.append(run.terms(run.model, pairs[0][0], targets, batch, noise_of_pairs, settings.loss))
    of_step = torch.cat(terms)
    reconstruction, kl = of_step.sum(dim=0)
    (reconstruction + kl_weight(run.step, settings.training.steps, settings.loss) * kl).backward()
    for optimiser in run.optimisers:
        optimiser.step()
    return of_step.detach()


def train_block(run: Run, split: Split) -> torch.Tensor:
    """The steps of one block, fewer at the end of the run. Returns the terms (steps, pairs, 2) on the CPU.

    The next block's images, where they lie in host memory, are copied while the device computes this one. Raises
    InputError if a term is not finite, naming step, pair and terms.
    """
    settings = run.settings
    size, first = settings.training.batch_size, run.step
    block_batches, noise = _block_batches(run, split)
    steps = encodings(settings, block_batches[True] is block_batches[False])
    order = torch.tensor([number for step in steps for encoding in step for number in encoding]).argsort()
    terms = []
    run.model.train()
    for index in range(min(BLOCK, settings.training.steps - first)):
        rows = slice(index * size, (index + 1) * size)
        batches_of = {
            labels: {key: value[rows] for key, value in samples.items()} for labels, samples in block_batches.items()
        }
        terms.append(torch.cat([training_step(run, step, batches_of, noise[index]) for step in steps]))
        run.step += 1
    if split.host is not None and run.step < settings.training.steps:
        for draw in _block_draws(run, split)[0].values():
            split.host.send(draw.rows)
    block_terms = torch.stack(terms).cpu()[:, order]  # up to here nothing has waited for the device
    _check_finite(block_terms, first, settings)
    return block_terms


def _block_batches(run: Run, split: Split) -> tuple[Batches, torch.Tensor]:
    """The block's samples for the pairs that need labels (True) and the others (False), and its noise, on the device.

    Where every row is labelled both are the same samples.
    """
    draws, noise = _block_draws(run, split)
    samples = {labels: batches.batch(split, draw, run.settings.modalities) for labels, draw in draws.items()}
    labelled = samples.get(True)
    return {True: labelled, False: samples.get(False, labelled)}, noise.to(run.device, non_blocking=True)


def _block_draws(run: Run, split: Split) -> tuple[dict[bool, Draw], torch.Tensor]:
    """The draws of the block that begins at the run's step, keyed as in `_block_batches`, and its noise, on the CPU.

    Where every row is labelled there is one draw, under True.
    """
    settings, size = run.settings, run.settings.training.batch_size
    mirrored = split.mirrored(settings.augmentation)
    all_labelled = sum(map(len, split.labelled)) == len(split)
    pools_of = {True: split.labelled, False: split.set_rows}
    draws = {}
    for needs_labels in {True} if all_labelled else {settings.needs_labels(pair) for pair in settings.pairs}:
        pools = pools_of[needs_labels]
        if settings.experiment.balance == "proportional":
            pools = [torch.cat(pools)]
        seed, pairs = settings.experiment.seed, len(settings.pairs)
        draws[needs_labels], noise = draw_block(
            seed, run.step // BLOCK, size, pools, pairs, settings.augmentation, mirrored
        )
    return draws, noise


def _check_finite(terms: torch.Tensor, first_step: int, settings: Settings) -> None:
    if bool(terms.isfinite().all()):
        return
    step, pair, _ = (~terms.isfinite()).nonzero()[0].tolist()
    reconstruction, kl = terms[step, pair].tolist()
    raise InputError(
        f"{settings.name}: expected a finite loss, found reconstruction {reconstruction} and KL {kl} "
        f"for {'->'.join(settings.pairs[pair])} at step {first_step + step}; try a lower learning_rate"
    )


def identity_of(settings: Settings, trained_on: list[Part], init: Path | None = None) -> dict:
    """What decides a model's bytes: its settings, its training rows, and the weights that it starts from, if any."""
    identity = {"settings": settings.as_dict(), "data_sha256": parts.digest(trained_on)}
    return identity if init is None else identity | {"init_sha256": initial.digest(init)}


def train(
    settings: Settings,
    trained_on: list[Part],
    model_folder: Path,
    checkpoint: Path,
    device: torch.device,
    resident: str = "auto",
    init: Path | None = None,
) -> None:
    """Train one experiment on the rows `trained_on` and write its model folder, all or nothing.

    An interrupted run leaves `checkpoint`; the next call goes on from there, or refuses it if it was made with other
    settings or data. `init`: a model whose weights it starts from; `resident`: see `residency.stays_on_host`.
    InputError if the device's memory is too small.
    """
    for part in trained_on:
        if (crop_px := store.attributes(part.path)["crop_px"]) != settings.crop_px:
            raise InputError(f"{part.path}: expected crops of {settings.crop_px} px, found {crop_px} px")
    identity, profile = identity_of(settings, trained_on, init), f"profiles.{settings.profile}"
    remedies = f"lower {profile}.training.{settings.experiment.input}.batch_size or {profile}.encoder_width, or, if "
    remedies += "images lie there too, set resident: host"
    with devices.out_of_memory(f"train {settings.name}", device, remedies):
        run, history = Run(settings, device, init), []
        if checkpoint.exists():
            state, history = checkpoints.load_checkpoint(checkpoint, identity)
            run.load_state(state)
        goes_on = f", goes on from step {run.step:,} of {settings.training.steps:,}" if run.step else ""
        print(f"train {settings.name}: on {devices.described(device)}{goes_on}", file=sys.stderr, flush=True)
        labels, unit_mm = settings.experiment.label_fraction, settings.joint_unit_mm
        split = batches.load_split(trained_on, settings.uses_images, unit_mm, device, labels, resident)

        def save() -> None:
            checkpoints.save_checkpoint(checkpoint, run.state(), history, identity)

        _train_to_the_end(run, split, history, save)
    checkpoints.save_model(model_folder, run.model.state_dict(), history, identity)
    checkpoint.unlink(missing_ok=True)


def _train_to_the_end(run: Run, split: Split, history: History, save: Callable[[], None]) -> None:
    """Train the blocks that are left. Each adds its row to `history`; `save` is called now and then between two.

    KeyboardInterrupt on the first Ctrl-C or SIGTERM, after the block and a `save`.
    """
    settings = run.settings
    samples, saved_s = settings.training.steps * settings.training.batch_size, time.monotonic()
    with interrupts.noted() as signals, Progress(f"train {settings.name}", samples, "samples") as progress:
        progress.resume_at(run.step * settings.training.batch_size)
        while run.step < settings.training.steps:
            before = run.step
            terms = train_block(run, split).mean(dim=0)
            history.append(records.row(run.step, settings, terms))
            progress.advance((run.step - before) * settings.training.batch_size, records.note(settings, terms))
            if signals or time.monotonic() - saved_s > CHECKPOINT_EVERY_S[run.device.type]:
                save()
                saved_s = time.monotonic()
            if signals:
                steps = f"{run.step:,} of {settings.training.steps:,}"
                raise KeyboardInterrupt(f"interrupted at step {steps}; the same command goes on from here")
