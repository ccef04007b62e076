"""Trained models by name: a row trained here, a model folder, a file to take along, or one that the repository has."""

from pathlib import Path

import torch

from handvae.base.errors import InputError
from handvae.model import checkpoints
from handvae.model.checkpoints import Trained
from handvae.prediction import portable

TRAINED, SHIPPED = Path("models"), Path("pretrained")  # in the repository's folder
SUFFIX = ".safetensors"
DEFAULT = "rhd-rgb-v1"
DETECTOR = "detector"  # lies beside them and is none


def load(name: str | None, device: torch.device) -> tuple[Trained, Path]:
    """The model and the file or folder that it is from, in evaluation mode on the device.

    `name`: a file, a folder, a row that was trained here, else of the repository; None: the repository's model for RGB.
    InputError, with the names that there are, where there is none.
    """
    path = _path(name)
    return (portable.load if path.is_file() else checkpoints.load_model)(path, device), path


def names() -> list[str]:
    """The models that can be named: rows trained here, then those of the repository."""
    trained = sorted(folder.parent.name for folder in TRAINED.glob("*/settings.json"))
    shipped = sorted(file.stem for file in SHIPPED.glob(f"*{SUFFIX}"))
    return [name for name in dict.fromkeys([*trained, *shipped]) if name != DETECTOR]


def _path(name: str | None) -> Path:
    candidates = [SHIPPED / f"{DEFAULT}{SUFFIX}"]
    if name is not None:
        candidates = [Path(name).expanduser(), TRAINED / name, SHIPPED / f"{name}{SUFFIX}"]
    for path in candidates:
        if path.is_file() or (path / "settings.json").is_file():
            return path
    there = ", ".join(names()) or "none yet: train one, `dvc repro train_paper@rhd-rgb-v1`"
    raise InputError(f"{name or candidates[0]}: expected a trained model's file, folder or name; names are: {there}")
