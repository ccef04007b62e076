"""A trained model as one file to take along: its weights in half precision and its settings, as safetensors."""

import json
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from handvae.base import atomic
from handvae.base.errors import InputError
from handvae.model.checkpoints import Trained
from handvae.model.settings import settings_from_dict
from handvae.model.vae import CrossModalVAE, load_weights

KEYS = ("settings", "data_sha256")  # of the file's metadata, JSON each


def save(path: Path, trained: Trained) -> None:
    """Write the model, whole or not at all; floating-point weights as float16, which halves the file."""
    halves = {
        key: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for key, value in trained.model.state_dict().items()
    }
    metadata = dict(zip(KEYS, map(json.dumps, (trained.settings.as_dict(), trained.data_sha256)), strict=True))
    atomic.write_bytes(path, safetensors.torch.save(halves, metadata))


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
        raise InputError(f"{path}: expected a model that stages.snapshot wrote: {error!r}") from error
    model = CrossModalVAE(settings.architecture, settings.experiment.seed)
    weights = {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
    load_weights(model, weights, str(path))
    return Trained(model.to(device, memory_format=torch.channels_last).eval(), settings, digest)
