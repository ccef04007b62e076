"""A trained model as one file to take along: its weights in half precision and its settings, as safetensors.

For a model that decodes several modalities also the directions of its latent space, which need data to compute.
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from handvae.base import atomic
from handvae.base.errors import InputError
from handvae.model import half_precision, methods
from handvae.model.checkpoints import Trained
from handvae.model.settings import settings_from_dict
from handvae.model.vae import load_weights
from handvae.prediction import directions
from handvae.prediction.directions import Directions

KEYS = ("settings", "data_sha256")  # of the file's metadata, JSON each
DIRECTIONS = "directions"  # a further key, where the model has them


def save(path: Path, trained: Trained, latent: Directions | None = None) -> None:
    """Write the model, whole or not at all; floating-point weights as float16, which halves the file.

    `latent`: the directions of its latent space.
    """
    metadata = dict(zip(KEYS, map(json.dumps, (trained.settings.as_dict(), trained.data_sha256)), strict=True))
    if latent is not None:
        metadata[DIRECTIONS] = json.dumps(latent.as_dict())
    atomic.write_bytes(path, half_precision.file_bytes(trained.model.state_dict(), metadata))


def load(path: Path, device: torch.device) -> Trained:
    """The model of a file, in float32, on the device and in evaluation mode.

    InputError, naming the file, where it is not one that `save` wrote.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata, names = file.metadata() or {}, file.keys()
            weights = {name: file.get_tensor(name) for name in names}
        settings, digest = (json.loads(metadata[key]) for key in KEYS)
        settings = settings_from_dict(settings)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a model that stages.pretrained wrote: {error!r}") from error
    model = methods.build(settings.architecture, settings.experiment.seed)
    weights = {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
    load_weights(model, weights, str(path))
    return Trained(model.to(device, memory_format=torch.channels_last).eval(), settings, digest)


def load_directions(path: Path) -> Directions:
    """The directions of the latent space of a file's model. InputError where it has none."""
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {})[DIRECTIONS]
        return directions.from_dict(json.loads(text))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected a model's file with the directions of its latent space, found none; "
            "write it again by `python -m stages.pretrained ROW`"
        ) from error
