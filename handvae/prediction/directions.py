"""The directions in which a model's encodings of test images vary most: what one moves along in its latent space."""

import json
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from handvae.base.errors import InputError
from handvae.base.sections import HEATMAPS
from handvae.model.networks import LATENT
from handvae.model.settings import Settings

COUNT = 8  # directions at most
DIGITS = 6  # that are kept, so that rounding on another machine changes no byte


class Directions(NamedTuple):
    """Principal directions of M posterior means, D of them, the one with the largest share first."""

    mean: np.ndarray  # (30,) of the posterior means
    axes: np.ndarray  # (D, 30) of length 1; the largest number of each is positive
    sd: np.ndarray  # (D,) of the posterior means along each
    share: np.ndarray  # (D,) of their whole variance
    encoded: int  # M
    data: str  # what was encoded: the set's description of its images

    def as_dict(self) -> dict:
        return {
            key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in self._asdict().items()
        }


def from_dict(tree: dict) -> Directions:
    """The inverse of Directions.as_dict. KeyError, TypeError or ValueError where it is not one."""
    read = Directions(**{key: np.array(value) if isinstance(value, list) else value for key, value in tree.items()})
    count = len(read.sd)
    if (read.mean.shape, read.axes.shape, read.share.shape) != ((LATENT,), (count, LATENT), (count,)):
        raise ValueError(f"directions of {read.axes.shape}")
    return read


def views(settings: Settings) -> list[str]:
    """The modalities that are decoded from the encoding of the model's input: what one point of its latent space is."""
    return [target for source, target in settings.pairs if source == settings.encoded and target != HEATMAPS]


def of_means(mu: np.ndarray, data: str, where: str) -> Directions:
    """From posterior means (M, 30). InputError where they are not finite or all the same; `where`: their file."""
    mu = mu.astype(np.float64)
    if len(mu) < 2 or not np.isfinite(mu).all():
        raise InputError(f"{where}: expected finite posterior means of two hands or more, found others; evaluate again")
    mean = mu.mean(axis=0)
    _, lengths, axes = np.linalg.svd(mu - mean, full_matrices=False)
    sd = lengths / np.sqrt(len(mu))
    kept = np.flatnonzero(sd[:COUNT] > 1e-5)
    if not len(kept):
        raise InputError(f"{where}: expected encodings that differ, found the same for {len(mu)} hands; train longer")
    share, sd, axes = (sd**2 / (sd**2).sum())[kept], sd[kept], axes[kept]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    rounded = (np.round(values, DIGITS) + 0.0 for values in (mean, axes * np.sign(largest), sd, share))  # no -0.0
    return Directions(*rounded, len(mu), data)


def of_predictions(path: Path, settings: Settings) -> Directions:
    """From the predictions file of a model with these settings, with all its test sets; the first seed's.

    InputError where the file is not there, or not that model's.
    """
    advice = f"run `python -m stages.grid {settings.name}`"
    if not path.is_file():
        raise InputError(f"{path}: expected the predictions of {settings.name}, found no file; {advice}")
    datasets, key = settings.experiment.datasets, f"latent/mu_{settings.encoded}"
    with h5py.File(path) as file:
        groups = [file] if len(datasets) == 1 else [file[name] for name in datasets if name in file]
        if len(groups) != len(datasets) or any(key not in group for group in groups):
            raise InputError(f"{path}: expected {key} of {' and '.join(datasets)}, found none; {advice}")
        if any(json.loads(group.attrs["settings"]) != settings.as_dict() for group in groups):
            raise InputError(f"{path}: expected predictions of this model, found those of other settings; {advice}")
        mu = np.concatenate([group[key][:] for group in groups])
        data = "; ".join(dict.fromkeys(group.attrs["source"] for group in groups))
    return of_means(mu, data, str(path))
