"""Model folders and checkpoints on disk: written whole, read without running code, checked against their purpose."""

import io
import json
from pathlib import Path
from typing import NamedTuple

import torch

from handvae.base import atomic
from handvae.base.errors import InputError
from handvae.base.seeds import seed_name
from handvae.model import methods, records
from handvae.model.records import History
from handvae.model.settings import Settings, settings_from_dict
from handvae.model.vae import CrossModalVAE, load_weights


class Trained(NamedTuple):
    """A trained model, its settings, and the digest of the data it was trained on."""

    model: CrossModalVAE
    settings: Settings
    data_sha256: str


def save_model(folder: Path, weights: dict[str, torch.Tensor], history: History, identity: dict) -> None:
    """Write `folder` with weights.pt (state dict), settings.json (settings, data digest) and history.csv."""
    with atomic.replacing_folder(folder) as partial:
        atomic.write_bytes(partial / "weights.pt", _bytes({key: value.cpu() for key, value in weights.items()}))
        atomic.write_text(partial / "settings.json", json.dumps(identity, indent=2) + "\n")
        atomic.write_text(partial / "history.csv", records.as_csv(history))


def seed_folder(folder: Path, number: int) -> Path:
    """The folder of an experiment's `number`-th model: the first lies in the experiment's own."""
    return folder / seed_name(number) if number else folder


def is_model_of(folder: Path, identity: dict) -> bool:
    """Whether `folder` holds a model with these settings and data."""
    try:
        return json.loads((folder / "settings.json").read_text()) == identity
    except (OSError, ValueError):
        return False


def load_model(folder: Path, device: torch.device) -> Trained:
    """The model of a folder, on the device and in evaluation mode."""
    try:
        identity = json.loads((folder / "settings.json").read_text())
        settings, digest = settings_from_dict(identity["settings"]), identity["data_sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}/settings.json: expected a trained model's settings: {error!r}") from error
    model = methods.build(settings.architecture, settings.experiment.seed)
    load_weights(model, load_tensors(folder / "weights.pt"), f"{folder}/weights.pt")
    return Trained(model.to(device, memory_format=torch.channels_last).eval(), settings, digest)


def save_checkpoint(path: Path, state: dict, history: History, identity: dict) -> None:
    atomic.write_bytes(path, _bytes({"state": state, "history": history, "identity": json.dumps(identity)}))


def load_checkpoint(path: Path, identity: dict) -> tuple[dict, History]:
    """The run's state and history. InputError if the checkpoint is broken or belongs to other settings or data."""
    checkpoint = load_tensors(path)
    if not isinstance(checkpoint, dict) or set(checkpoint) != {"state", "history", "identity"}:
        raise InputError(f"{path}: expected a checkpoint of this program, found something else; delete it")
    if differences := _differences(identity, json.loads(checkpoint["identity"])):
        raise InputError(
            f"{path}: a checkpoint of another run: {'; '.join(differences)}; delete it to start this run afresh"
        )
    return checkpoint["state"], checkpoint["history"]


def _differences(expected: object, actual: object, where: str = "") -> list[str]:
    """One text for each key, of nested dictionaries too, whose values differ."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return [
            difference
            for key in expected | actual
            for difference in _differences(expected.get(key), actual.get(key), f"{where}.{key}" if where else str(key))
        ]
    return [] if expected == actual else [f"{where} expected {expected}, found {actual}"]


def _bytes(content: dict) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def load_tensors(path: Path) -> dict:
    """What `torch.save` wrote, tensors and plain values only. InputError for anything else."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises anything from KeyError to RuntimeError on a broken file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: expected a file of tensors: {reason}") from error
