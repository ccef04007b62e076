"""A trained model as one file to take along: its weights in half precision and its settings, as safetensors.

For a model that decodes several modalities also the directions of its latent space, which need data to compute.
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from handvae.base import atomic
from handvae.base.checked import convert
from handvae.base.errors import InputError
from handvae.base.sections import OWN, RowName
from handvae.model import half_precision, methods
from handvae.model.checkpoints import Trained
from handvae.model.settings import settings_from_dict
from handvae.model.vae import load_weights
from handvae.prediction import directions
from handvae.prediction.directions import Directions


def save(path: Path, trained: Trained, latent: Directions | None = None) -> None:
    """Write the model, whole or not at all; floating-point weights as float16, which halves the file.

    `latent`: the directions of its latent space.
    """
    facts = {"settings": trained.settings.as_dict(), "data_sha256": trained.data_sha256}
    if latent is not None:
        facts["directions"] = latent.as_dict()
    metadata = {key: json.dumps(value) for key, value in facts.items()}
    atomic.write_bytes(path, half_precision.file_bytes(trained.model.state_dict(), metadata))


def load(path: Path, device: torch.device) -> Trained:
    """The model of a file, in float32, on the device and in evaluation mode.

    InputError, naming the file, where it is not one that `save` wrote.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata, names = file.metadata() or {}, file.keys()
            weights = {name: file.get_tensor(name) for name in names}
        settings, digest = settings_from_dict(json.loads(metadata["settings"])), json.loads(metadata["data_sha256"])
        convert(settings.name, str if settings.name == OWN else RowName)  # it names files
        model = methods.build(settings.architecture, settings.experiment.seed)
    except (OSError, SafetensorError, ValueError, LookupError, TypeError, RuntimeError, InputError) as error:
        raise InputError(f"{path}: expected a model that stages.pretrained wrote: {error!r}") from error
    load_weights(model, weights, str(path))
    return Trained(model.to(device, memory_format=torch.channels_last).eval(), settings, digest)


def load_directions(path: Path) -> Directions:
    """The directions of the latent space of a file's model. InputError where it has none."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        return directions.from_dict(json.loads(metadata["directions"]))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected a model's file with the directions of its latent space, found none; "
            "write it again by `python -m stages.pretrained ROW`"
        ) from error
