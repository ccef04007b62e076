"""The models of one row of the grid, which differ in their seed alone: trained one after the other, kept until all are.

DVC deletes a stage's output before it runs the stage again, so what is finished waits in a folder that no stage owns.
"""

import hashlib
import shutil
import sys
from pathlib import Path

import torch

from handvae.base import atomic
from handvae.base.errors import InputError
from handvae.base.seeds import seed_name
from handvae.model import checkpoints, training
from handvae.model.parts import Part
from handvae.model.settings import Settings

PACKAGE = Path(__file__).parents[1]
TRAINS = ("base", "model", "preprocessing")  # the parts of the package that a training runs
CODE = "code.sha256"


def train_all(
    models: list[Settings],
    trained_on: list[Part],
    folder: Path,
    kept: Path,
    device: torch.device,
    resident: str = "auto",
    init: Path | None = None,
) -> None:
    """Train the models and write `folder`, all or nothing: the first in it, the others in its folders seed-<n>.

    Interrupted at any moment it leaves in `kept` what is finished, and a checkpoint; the next call goes on from there.
    A finished model of other settings or data is replaced. `init`: a model whose weights they start from.
    InputError if `kept` was begun by other code: half a training by each would be a model of neither.
    """
    code, begun_by = code_sha256(), kept / CODE
    if not any(kept.glob("seed-*")):
        atomic.write_text(begun_by, code)
    elif not begun_by.exists() or begun_by.read_text() != code:
        raise InputError(
            f"{kept}: expected a training begun by this code, found one of other code ({', '.join(TRAINS)} of "
            f"{PACKAGE.name} have changed since); delete this folder to train afresh"
        )
    finished = [kept / seed_name(number) for number in range(len(models))]
    for settings, model_folder in zip(models, finished, strict=True):  # a stale one stops before anything is trained
        if (checkpoint := model_folder.with_suffix(".pt")).exists():
            checkpoints.load_checkpoint(checkpoint, training.identity_of(settings, trained_on, init))
    for settings, model_folder in zip(models, finished, strict=True):
        if checkpoints.is_model_of(model_folder, training.identity_of(settings, trained_on, init)):
            print(f"train {settings.name}: {model_folder} is trained already", file=sys.stderr, flush=True)
        else:
            checkpoint = model_folder.with_suffix(".pt")
            training.train(settings, trained_on, model_folder, checkpoint, device, resident, init)
    with atomic.replacing_folder(folder) as partial:
        for number, model_folder in enumerate(finished):
            shutil.copytree(model_folder, checkpoints.seed_folder(partial, number), dirs_exist_ok=True)
    atomic.remove_folder(kept)


def code_sha256(package: Path = PACKAGE) -> str:
    """The digest of the code that trains."""
    files = sorted(file for part in TRAINS for file in (package / part).rglob("*.py"))
    content = b"\0".join(str(file.relative_to(package)).encode() + b"\0" + file.read_bytes() for file in files)
    return hashlib.sha256(content).hexdigest()
