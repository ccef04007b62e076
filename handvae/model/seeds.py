"""The models of one row of the grid, which differ in their seed alone: trained one after the other, kept until all are.

DVC deletes a stage's output before it runs the stage again, so what is finished waits in a folder that no stage owns.
"""

import shutil
import sys
from pathlib import Path

import torch

from handvae.base import atomic
from handvae.model import checkpoints, training
from handvae.model.parts import Part
from handvae.model.settings import Settings


def train_all(
    models: list[Settings],
    trained_on: list[Part],
    folder: Path,
    kept: Path,
    device: torch.device,
    resident: str = "auto",
) -> None:
    """Train the models and write `folder`, all or nothing: the first in it, the others in its folders seed-<n>.

    Interrupted at any moment it leaves in `kept` what is finished, and a checkpoint; the next call goes on from there.
    A finished model of other settings or data is replaced.
    """
    for number, settings in enumerate(models):
        finished = kept / f"seed-{number}"
        if checkpoints.is_model_of(finished, training.identity_of(settings, trained_on)):
            print(f"train {settings.name}: {finished} is trained already", file=sys.stderr, flush=True)
        else:
            training.train(settings, trained_on, finished, kept / f"seed-{number}.pt", device, resident)
    with atomic.replacing_folder(folder) as partial:
        for number in range(len(models)):
            source, target = kept / f"seed-{number}", checkpoints.seed_folder(partial, number)
            shutil.copytree(source, target, dirs_exist_ok=True)
    atomic.remove_folder(kept)
