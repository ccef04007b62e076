"""Weights to start from: those of another model, for every encoder and decoder that both have."""

import hashlib
import sys
from pathlib import Path

import torch

from handvae.base.errors import InputError
from handvae.model import checkpoints
from handvae.model.vae import CrossModalVAE


def file_of(path: Path) -> Path:
    """The file with the weights of a model folder, or of a model to take along (.safetensors)."""
    return path / "weights.pt" if path.is_dir() else path


def digest(path: Path) -> str:
    """SHA-256 of that file. InputError where there is none."""
    try:
        return hashlib.sha256(file_of(path).read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: init expects a model folder or a .safetensors file: {error}") from error


def start_from(model: CrossModalVAE, path: Path) -> None:
    """Copy the weights of every part (an encoder or a decoder) that both models have; others stay as they are.

    InputError where a part of both has another size, or none is in both.
    """
    weights, own = weights_of(path), model.state_dict()
    parts = sorted({_part(key) for key in own} & {_part(key) for key in weights})
    for part in parts:
        ours, theirs = ({key: value for key, value in of.items() if _part(key) == part} for of in (own, weights))
        shapes = [{key: value.shape for key, value in of.items()} for of in (ours, theirs)]
        if shapes[0] != shapes[1]:
            raise InputError(
                f"{path}: init: expected {part} of the size of this experiment ({model.architecture}), found another; "
                "profile, encoder and invariance H must be those of the model"
            )
        own |= theirs
    if not parts:
        raise InputError(f"{path}: init: expected a part of this experiment's model, found none")
    model.load_state_dict({key: value.to(model.state_dict()[key].dtype) for key, value in own.items()})
    print(f"starts from {path}: {', '.join(parts)}", file=sys.stderr)


def _part(key: str) -> str:
    """encoders.rgb of encoders.rgb.trunk.conv1.weight."""
    return ".".join(key.split(".")[:2])


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    """The weights by name. InputError where there are none."""
    file = file_of(path)
    if file.suffix != ".safetensors":
        return checkpoints.load_tensors(file)
    from safetensors import SafetensorError  # not on a machine for training alone, where a folder will do
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file}: init expects a model's weights: {error}") from error
