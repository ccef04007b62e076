"""What the readers of the datasets share: roots, labels at once, files that are all there."""

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.base.errors import InputError
from handvae.base.joints import Skeleton
from handvae.base.system_files import is_system_file


@dataclass(frozen=True)
class Hands:
    """All labels of a set at once, for `stages.doctor`, without those that no hand can have: see `doubts`."""

    skeleton: Skeleton
    joints_mm: np.ndarray  # (N, J, 3) camera frame
    uv_px: np.ndarray  # (N, J, 2)
    camera: np.ndarray  # (N, 3, 3)
    side: np.ndarray  # (N,)
    subject: np.ndarray  # (N,) of str: whose bones these are
    pixels_labelled: bool  # False: uv_px were projected from joints_mm, or the other way round

    def __post_init__(self) -> None:
        if not len(self.joints_mm):
            raise InputError("labels: expected one at least that a hand can have, found none")


def one_root(folder: Path, is_root: Callable[[Path], bool], wanted: str) -> Path:
    """`folder` or the one folder in it that is the root of a set. InputError if there is none, or more than one."""
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder with {wanted}, found no folder")
    inside = [folder / name for name in names_in(folder)]
    roots = [folder] if is_root(folder) else [one for one in inside if one.is_dir() and is_root(one)]
    if len(roots) > 1:
        names = some([root.name for root in roots])
        raise InputError(f"{folder}: expected {wanted} there or in one folder in it, found them in {names}")
    if not roots:
        names = some([one.name for one in inside]) or "nothing"
        raise InputError(f"{folder}: expected {wanted} there or in one folder in it, found neither, but {names}")
    return roots[0]


def names_in(folder: Path) -> list[str]:
    """What lies in `folder`, in order, without what operating systems put there."""
    return sorted(name for name in os.listdir(folder) if not is_system_file(name))


def total_bytes(paths: Iterable[Path]) -> int:
    """The size of all these files together. InputError for the first that is not there or empty."""
    return sum(map(size_bytes, paths))


def size_bytes(path: Path) -> int:
    """The size of an image. InputError if it is not there, no regular file or empty."""
    try:
        found = path.stat()
    except OSError:
        raise InputError(f"{path}: expected the image of a label, found no file") from None
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path}: expected the image of a label, found something else")
    if not found.st_size:
        raise InputError(f"{path}: expected an image, found an empty file")
    return found.st_size


def some(names: list[str], shown: int = 4) -> str:
    """The first few of a list, for a summary."""
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")
