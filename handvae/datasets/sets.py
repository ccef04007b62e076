"""The datasets by name, and what the module of each has. A further one is a module here, an entry of DATASETS, and an
entry of `dataset_params.DATASETS` for params.yaml.
"""

from pathlib import Path
from typing import Any, Protocol, TypedDict, runtime_checkable

from handvae.base import dataset_params
from handvae.base.errors import InputError
from handvae.base.joints import Skeleton
from handvae.datasets import icvl, labels, msra, nyu, rhd, stb
from handvae.datasets.sample import DepthSample, Sample


class Facts(TypedDict):
    """What `inspect` tells of a set; JSON, since the manifest in data/raw holds it."""

    published: bool  # whether these are the counts of the published set
    splits: dict[str, dict]  # the number of `frames` of each split, and digests that tell it from other data
    notes: list[str]  # what a user should know


@runtime_checkable
class Dataset(Protocol):
    """A dataset: a module with these names. A frame is whatever the module makes of it, picklable and small, with its
    `doubt` (see `doubts`); besides, a module may write the set's files, for the synthetic hand."""

    SKELETON: Skeleton  # the order of its joints
    PUBLISHED_TEST: int  # frames of the published test split; 0 where there is none

    def find(self, folder: Path) -> Path:
        """The root of the set: `folder` or one in it. InputError if there is none, or more than one."""

    def inspect(self, root: Path) -> Facts:
        """Check that all files are there, and count; decodes no image."""

    def frames(self, root: Path, **options: Any) -> dict[str, list[Any]]:
        """The frames of `train` and `test`, or of every subject; `options`: see `dataset_params.frames_options`."""

    def read(self, frame: Any) -> list[Sample] | list[DepthSample]:
        """The hands of one frame, its image decoded."""

    def frames_with_images(self, root: Path) -> list[Any]:
        """Every frame of which there is an image and whose label can be a hand's, whatever the protocol wants."""

    def labelled_hands(self, root: Path) -> labels.Hands:
        """All labels at once, for `stages.doctor`."""


DATASETS: dict[str, Dataset] = {"rhd": rhd, "stb": stb, "icvl": icvl, "nyu": nyu, "msra": msra}
TITLES = {name: dataset.title for name, dataset in dataset_params.DATASETS.items()}


def find(name: str, folder: Path) -> Path:
    """The root of a set in a folder that a user names. The InputError adds where the set is, if it lies above or below,
    or which other set the folder holds."""
    try:
        return DATASETS[name].find(folder)
    except InputError as error:
        if not folder.is_dir():
            raise
        here = folder.resolve()
        near = [here.parent, *(here / entry for entry in labels.names_in(here))]
        roots = [root for path in near if (root := _root_in(name, path))]
        others = [TITLES[other] for other in DATASETS if other != name and _root_in(other, here)]
        hints = [f"the set is in {root}" for root in roots[:1]] + [f"this looks like {title}" for title in others]
        raise InputError("; ".join([str(error), *hints])) from None


def _root_in(name: str, folder: Path) -> Path | None:
    try:
        return DATASETS[name].find(folder)
    except (InputError, OSError):
        return None
