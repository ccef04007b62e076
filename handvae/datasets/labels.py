"""What the readers of the datasets share: the set's root, all labels at once, images that are all there."""

import hashlib
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
    """All labels of a set, for `stages.doctor`, without those that no hand can have: see `doubts`."""

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
    roots = [folder] if is_root(folder) else [path for path in inside if path.is_dir() and is_root(path)]
    if len(roots) == 1:
        return roots[0]
    names = some([path.name for path in roots or inside]) or "nothing"
    actual = f"them in {names}" if roots else f"neither, but {names}"
    raise InputError(f"{folder}: expected {wanted} there or in one folder in it, found {actual}")


def names_in(folder: Path) -> list[str]:
    """What lies in `folder`, sorted, without what operating systems put there."""
    return sorted(name for name in os.listdir(folder) if not is_system_file(name))


def facts(images: list[Path], label_bytes: bytes) -> dict:
    """What tells a split from any other. InputError for the first image that is not there or empty."""
    digest = hashlib.sha256(label_bytes).hexdigest()
    return {"frames": len(images), "image_bytes": total_bytes(images), "labels_sha256": digest}


def total_bytes(paths: Iterable[Path]) -> int:
    """The size of all these images together. InputError for the first that is not there or empty."""
    return sum(map(size_bytes, paths))


def size_bytes(path: Path) -> int:
    """The size of an image. InputError if it is not there, no regular file or empty."""
    try:
        status = path.stat()
    except OSError:
        raise InputError(f"{path}: expected the image of a label, found no file") from None
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: expected the image of a label, found something else")
    if not status.st_size:
        raise InputError(f"{path}: expected an image, found an empty file")
    return status.st_size


def some(names: list[str]) -> str:
    """The first four names, for a summary."""
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
