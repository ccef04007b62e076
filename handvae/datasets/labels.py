"""What the readers of the datasets share: roots, hands that can be hands, files that are all there."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.base.errors import InputError
from handvae.base.joints import Skeleton

REACH_MM = 250.0  # from a hand's centre to any of its joints: an adult's hand reaches half as far
FARTHEST_MM = 5000.0


@dataclass(frozen=True)
class Hands:
    """All labels of a set at once, for `stages.doctor`."""

    skeleton: Skeleton
    joints_mm: np.ndarray  # (N, J, 3) camera frame
    uv_px: np.ndarray  # (N, J, 2)
    camera: np.ndarray  # (N, 3, 3)
    side: np.ndarray  # (N,)
    subject: np.ndarray  # (N,) of str: whose bones these are


def back_project(uvd: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Camera-frame points (..., 3) in mm of u, v in px and depth in mm (..., 3), by intrinsics (3, 3)."""
    depth_mm = uvd[..., 2:]
    return np.concatenate([(uvd[..., :2] - camera[:2, 2]) / camera[[0, 1], [0, 1]] * depth_mm, depth_mm], axis=-1)


def check_hands(where: Callable[[int], str], joints_mm: np.ndarray, centre: int) -> None:
    """Refuse joints (N, J, 3) that no hand before a camera can have; `where` names hand number i for the message."""
    depth_mm = joints_mm[..., 2]
    with np.errstate(over="ignore", invalid="ignore"):
        reach_mm = np.linalg.norm(joints_mm - joints_mm[:, centre : centre + 1], axis=-1)
    for expected, good, found in (  # so written, NaN fails too
        (
            f"joints in front of the camera, up to {FARTHEST_MM:.0f} mm",
            (depth_mm > 0) & (depth_mm <= FARTHEST_MM),
            depth_mm,
        ),
        (f"joints within {REACH_MM:.0f} mm of joint {centre}", reach_mm <= REACH_MM, reach_mm),
    ):
        if not good.all():
            hand, joint = np.argwhere(~good)[0]
            raise InputError(f"{where(hand)}: expected {expected}, found {found[hand, joint]:.6g} at joint {joint}")


def one_root(folder: Path, is_root: Callable[[Path], bool], wanted: str) -> Path:
    """`folder` or the one folder in it that is the root of a set. InputError if there is none, or more than one."""
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder with {wanted}, found no folder")
    roots = [folder] if is_root(folder) else [one for one in sorted(folder.iterdir()) if one.is_dir() and is_root(one)]
    if len(roots) != 1:
        raise InputError(f"{folder}: expected {wanted} there or in one folder in it, found {len(roots)} such folders")
    return roots[0]


def total_bytes(paths: Iterable[Path]) -> int:
    """The size of all these files together. InputError for the first that is not there or empty."""
    total = 0
    for path in paths:
        try:
            size = path.stat().st_size
        except OSError:
            raise InputError(f"{path}: expected the image of a label, found no file") from None
        if not size:
            raise InputError(f"{path}: expected an image, found an empty file")
        total += size
    return total


def some(names: list[str], shown: int = 4) -> str:
    """The first few of a list, for a summary."""
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")
