"""Which rows of the preprocessed sets an experiment trains on, and which it is scored on.

Rows that show one pose stay together: labels are withheld, and validation rows held out, by moments.
"""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.base.errors import InputError
from handvae.base.sections import Experiment
from handvae.preprocessing import moments, store

LABELS_SEED = 0  # of the labelled part of a training split
VALIDATION_SEED = 1
VALIDATION_FRAMES = 25  # of a video, held out together: a frame's neighbours show nearly its pose


@dataclass(frozen=True)
class Part:
    """Some rows of one preprocessed set."""

    path: Path
    groups: list[str]  # read one after the other
    rows: np.ndarray  # (N,) bool over all rows of the groups

    def column(self, key: str) -> np.ndarray:
        """A column of data/processed/<set>.h5 at these rows."""
        return store.read(self.path, self.groups, [key])[key][self.rows]


def whole(path: Path, groups: list[str]) -> Part:
    """All rows of some groups."""
    return Part(path, groups, np.ones(store.rows(path, groups), bool))


def training_parts(processed: Path, experiment: Experiment) -> list[Part]:
    """The training rows of each set of an experiment, without those that the protocol or the user holds out."""
    parts = [_training_part(processed, experiment, dataset) for dataset in experiment.datasets]
    kept = [dataclasses.replace(part, rows=part.rows & ~_held_out(part, experiment.validation)) for part in parts]
    for part in kept:
        if not part.rows.any():
            raise InputError(
                f"{part.path}: expected hands to train on, found none of {len(part.rows):,} "
                f"(validation {experiment.validation:g}; the others may have doubtful labels)"
            )
    return kept


def scored_part(processed: Path, experiment: Experiment, dataset: str) -> Part:
    """The rows of one set on which an experiment is scored: its test split, or with `validation` the held-out rows."""
    if not experiment.validation:
        return whole(*_groups(processed, dataset, "test", experiment))
    part = _training_part(processed, experiment, dataset)
    return dataclasses.replace(part, rows=part.rows & _held_out(part, experiment.validation))


def digest(parts: list[Part]) -> str:
    """SHA-256 of all rows of the parts' groups: the data that a model is trained from."""
    digests = [store.digest(part.path, part.groups) for part in parts]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def labelled_rows(moment: np.ndarray, fraction: float) -> np.ndarray:
    """The rows (L,) whose labels may be used: those of a random share `fraction` of the moments (N,).

    All views and turned copies of a pose share its moment, so that no unlabelled hand has a labelled view. A smaller
    share is part of every larger one. The choice does not depend on an experiment's seed, so that models of one share
    can be compared.

    paper: "percentage of labeled data", how it is chosen not stated; here at random, since STB is a video whose first
    part shows only a few of its poses.
    """
    poses = list(dict.fromkeys(moment))
    order = np.random.default_rng(LABELS_SEED).permutation(len(poses))
    chosen = {poses[index] for index in order[: max(1, round(fraction * len(poses)))]}
    return np.flatnonzero([pose in chosen for pose in moment])


def _training_part(processed: Path, experiment: Experiment, dataset: str) -> Part:
    """The rows of one set that the protocol lets an experiment train on."""
    path, groups = _groups(processed, dataset, "train", experiment)
    return Part(path, groups, store.read(path, groups, ["trainable"])["trainable"])


def _held_out(part: Part, share: float) -> np.ndarray:
    """(N,) bool over all rows of the groups: a random share of their blocks, at least one unless `share` is 0."""
    if not share:
        return np.zeros(len(part.rows), bool)
    columns = store.read(part.path, part.groups, ["moment", "sequence", "frame"])
    block = moments.blocks(*columns.values(), VALIDATION_FRAMES)
    count = block.max() + 1
    order = np.random.default_rng(VALIDATION_SEED).permutation(count)
    return np.isin(block, order[: max(1, round(share * count))])


def _groups(processed: Path, dataset: str, split: str, experiment: Experiment) -> tuple[Path, list[str]]:
    path = processed / f"{dataset}.h5"
    return path, store.split_groups(path, split, experiment.test_subject)
