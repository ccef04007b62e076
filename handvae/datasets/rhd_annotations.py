"""RHD's annotations: anno_<split>.pickle, read as plain numbers and checked, and written."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.base.atomic import write_bytes
from handvae.base.errors import InputError
from handvae.datasets import plain_pickle

PUBLISHED_COUNTS = {"training": 41258, "evaluation": 2728}
_SHAPES = {"uv_vis": (42, 3), "xyz": (42, 3), "K": (3, 3)}
_REPROJECTION_PX = 1.0  # RHD's own labels agree within 0.08 px
_REACH_M = (0.02, 0.3)  # from the middle MCP to the farthest joint: an adult's is 0.15; depth does not show in uv
_NEAREST_M = 0.01
_SHORTEST_M = 0.001
_MAX_FOCAL_PX = 100_000
# An honest annotation takes 1,200 bytes of float32 to 3,700 of float64 written as text, and 50 to 155 opcodes.
_PICKLE_BYTES_A_FRAME, _PICKLE_OPCODES_A_FRAME = 4000, 200


@dataclass(frozen=True)
class Annotation:
    """Both hands of one image as RHD stores them: rows 0 to 20 left, 21 to 41 right, wrist first, then tip to base."""

    uv_px: np.ndarray  # (42, 2) float64
    visible: np.ndarray  # (42,) bool
    xyz_m: np.ndarray  # (42, 3) float64, camera frame: x right, y down, z forward
    K: np.ndarray  # (3, 3) float64


def annotation_path(split_root: Path) -> Path:
    return split_root / f"anno_{split_root.name}.pickle"


def write_annotations(split_root: Path, uv_vis: np.ndarray, xyz_m: np.ndarray, K: np.ndarray) -> None:
    """Write anno_<split>.pickle: uv_vis (N, 42, 3) with u, v in px and visibility; xyz_m (N, 42, 3); K (N, 3, 3).

    As float32; the split is the folder's name. InputError for what `read_annotations` would refuse.
    """
    path = annotation_path(Path(split_root))
    arrays = {"uv_vis": uv_vis, "xyz": xyz_m, "K": K}
    arrays = {key: np.ascontiguousarray(values, np.float32) for key, values in arrays.items()}
    for key, values in arrays.items():
        if values.shape != (len(uv_vis), *_SHAPES[key]):
            raise InputError(f"{path}: expected {key} of shape {(len(uv_vis), *_SHAPES[key])}, found {values.shape}")
    _check(path, **arrays)
    annotations = {index: {key: values[index] for key, values in arrays.items()} for index in range(len(uv_vis))}
    write_bytes(path, pickle.dumps(annotations, protocol=3))  # what Python 3.5 wrote, as the published set


def read_annotations(root: Path, split: str) -> list[Annotation]:
    """The annotations of `root`/`split` ("training" or "evaluation"), checked, in the order of the images.

    InputError unless the ids are 0 to N-1, all numbers are finite, K is a camera, visible joints are in front of it,
    and the joints of a hand that shows at least one lie as close as those of a hand and project to their uv within
    1 px. A hand that shows none may be anywhere: RHD annotates both hands even where one is out of the picture or
    behind the camera.
    """
    path = annotation_path(Path(root) / split)
    if not path.is_file():
        raise InputError(f"{path}: expected RHD's annotations, found no file")
    images = sum(1 for _ in path.parent.glob("color/[!.]*.png"))
    frames = images + 1000  # what the file may hold at most
    wanted = f"annotations of the {images:,} images in color/"
    raw = plain_pickle.load(path, _PICKLE_BYTES_A_FRAME * frames, _PICKLE_OPCODES_A_FRAME * frames, wanted)
    if not isinstance(raw, dict) or set(raw) != set(range(len(raw))):
        raise InputError(f"{path}: expected a dict with ids 0 to N-1, found {_ids_found(raw)}")
    uv_vis, xyz_m, K = (_stacked(path, raw, key) for key in _SHAPES)
    del raw  # the published training labels take 170 MB in it
    _check(path, uv_vis, xyz_m, K)
    visible = uv_vis[..., 2] == 1
    return [Annotation(uv_vis[i, :, :2], visible[i], xyz_m[i], K[i]) for i in range(len(K))]


def _ids_found(raw: object) -> str:
    if not isinstance(raw, dict):
        return type(raw).__name__
    return f"{len(raw):,} entries without id {next(index for index in range(len(raw)) if index not in raw)}"


def _stacked(path: Path, raw: dict, key: str) -> np.ndarray:
    """(N, ...) float64 of one annotation array, its presence, type and shape checked in every sample."""
    for index in range(len(raw)):
        array = raw[index].get(key) if isinstance(raw[index], dict) else None
        if not isinstance(array, np.ndarray) or array.shape != _SHAPES[key] or array.dtype.kind not in "fiub":
            found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise InputError(f"{path}: sample {index}: expected {key} as numbers {_SHAPES[key]}, found {found}")
    return np.array([raw[index][key] for index in range(len(raw))], np.float64).reshape(-1, *_SHAPES[key])


def _check(path: Path, uv_vis: np.ndarray, xyz: np.ndarray, K: np.ndarray) -> None:
    """Refuse annotations (N, 42, 3), (N, 42, 3), (N, 3, 3) that cannot be a camera's view of hands."""
    uv_vis, xyz_m, K = (np.asarray(values, np.float64) for values in (uv_vis, xyz, K))
    for key, values in {"uv_vis": uv_vis, "xyz": xyz_m, "K": K}.items():
        _refuse(path, ~np.isfinite(values), f"finite {key}", values)
    visible = uv_vis[..., 2] == 1
    _refuse(path, ~visible & (uv_vis[..., 2] != 0), "visibility 0 or 1", uv_vis[..., 2])
    _refuse(path, np.any(K[:, 2] != (0, 0, 1), axis=-1), "K with last row 0 0 1", K[:, 2])
    focal_px = K[:, [0, 1], [0, 1]]
    _refuse(
        path, (focal_px <= 0) | (focal_px > _MAX_FOCAL_PX), f"focal lengths above 0, up to {_MAX_FOCAL_PX} px", focal_px
    )
    behind = visible & (xyz_m[..., 2] < _NEAREST_M)
    _refuse(path, behind, f"visible joints in front of the camera, {_NEAREST_M} m or more", xyz_m[..., 2])
    # A hand that shows no joint is never used, and may be anything.
    used = np.repeat(visible.reshape(-1, 2, 21).any(axis=2), 21, axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        hands_m = xyz_m.reshape(-1, 2, 21, 3)
        reach_m = np.linalg.norm(hands_m - hands_m[:, :, 12:13], axis=-1).reshape(-1, 42)
    smallest_m, largest_m = _REACH_M
    too_far = used & ~(reach_m <= largest_m)
    hint = "; are these millimetres?" if too_far.any() and np.median(reach_m[too_far]) > 10 * largest_m else ""
    _refuse(path, too_far, f"joints within {largest_m} m of the middle MCP, distance in m", reach_m, hint)
    farthest_m = np.repeat(reach_m.reshape(-1, 2, 21).max(axis=2), 21, axis=1)
    _refuse(path, used & (farthest_m < smallest_m), f"a hand that reaches {smallest_m} m", farthest_m)
    bone_m = reach_m[:, [11, 32]].repeat(21, axis=1)
    _refuse(path, used & ~(bone_m >= _SHORTEST_M), f"a middle finger's MCP-PIP of {_SHORTEST_M} m or more", bone_m)
    _check_reprojection(path, uv_vis[..., :2], xyz_m, K, used)


def _check_reprojection(path: Path, uv_px: np.ndarray, xyz_m: np.ndarray, K: np.ndarray, used: np.ndarray) -> None:
    used = used & (np.abs(xyz_m[..., 2]) > 1e-6)
    safe_m = np.where(used[..., None], xyz_m, (0.0, 0.0, 1.0))
    with np.errstate(over="ignore", invalid="ignore"):  # of damaged numbers; the comparison below refuses NaN
        projected = np.einsum("nij,nkj->nki", K, safe_m)
        error_px = np.linalg.norm(projected[..., :2] / projected[..., 2:] - uv_px, axis=-1)
    # Far outside the picture float32 itself is coarse: a hidden joint beside the camera may lie at 10^6 px.
    allowed_px = _REPROJECTION_PX + 1e-4 * np.abs(uv_px).max(axis=-1)
    _refuse(path, used & ~(error_px <= allowed_px), "uv = K xyz within 1 px, error in px", error_px)


def _refuse(path: Path, bad: np.ndarray, expected: str, values: np.ndarray, hint: str = "") -> None:
    """InputError for the first sample in which `bad` (N, ...) holds, with the value found there."""
    if bad.any():
        first = tuple(np.argwhere(bad)[0])
        row = f", row {first[1]}" if len(first) > 1 else ""
        raise InputError(f"{path}: sample {first[0]}{row}: expected {expected}, found {_shown(values[first])}{hint}")


def _shown(value: np.ndarray) -> str:
    return f"{value:.6g}" if np.ndim(value) == 0 else str(value)
