"""RHD's annotations: anno_<split>.pickle, read as plain numbers and checked, and written."""

import dataclasses
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.base.atomic import write_bytes
from handvae.base.errors import InputError
from handvae.base.geometry import project
from handvae.datasets import doubts, safe_pickle
from handvae.datasets.doubts import Check, Doubt

MIDDLE_PIP_ROW, MIDDLE_MCP_ROW = 11, 12  # of a hand's 21 rows
PUBLISHED_COUNTS = {"training": 41258, "evaluation": 2728}
_SHAPES = {"uv_vis": (42, 3), "xyz": (42, 3), "K": (3, 3)}
_REPROJECTION_PX = 1.0  # RHD's own labels agree within 0.08 px
_REACH_M = (0.02, 0.3)  # from the middle MCP to the farthest joint: an adult's is 0.15; depth does not show in uv
_NEAREST_M = 0.01
_MAX_FOCAL_PX = 100_000
_PICKLE_BYTES_A_FRAME = 4000  # an honest annotation takes 1,200 bytes of float32 to 3,700 of float64 written as text


@dataclass(frozen=True)
class Annotation:
    """Both hands of one image as RHD stores them: rows 0 to 20 left, 21 to 41 right, wrist first, then tip to base."""

    uv_px: np.ndarray  # (42, 2) float64
    visible: np.ndarray  # (42,) bool
    xyz_m: np.ndarray  # (42, 3) float64, camera frame: x right, y down, z forward
    K: np.ndarray  # (3, 3) float64
    doubts: tuple[Doubt | None, Doubt | None]  # what is wrong with the left hand and with the right one


def annotation_path(split_root: Path) -> Path:
    return split_root / f"anno_{split_root.name}.pickle"


def write_annotations(split_root: Path, uv_vis: np.ndarray, xyz_m: np.ndarray, K: np.ndarray) -> None:
    """Write anno_<split>.pickle: uv_vis (N, 42, 3) with u, v in px and visibility; xyz_m (N, 42, 3); K (N, 3, 3).

    As float32; the split is the folder's name. InputError for what `read_annotations` would refuse or doubt.
    """
    path = annotation_path(Path(split_root))
    arrays = {"uv_vis": uv_vis, "xyz": xyz_m, "K": K}
    arrays = {key: np.ascontiguousarray(values, np.float32) for key, values in arrays.items()}
    for key, values in arrays.items():
        if values.shape != (len(uv_vis), *_SHAPES[key]):
            raise InputError(f"{path}: expected {key} of shape {(len(uv_vis), *_SHAPES[key])}, found {values.shape}")
    _refuse_doubts(path, **{key: values.astype(np.float64) for key, values in arrays.items()})
    annotations = {index: {key: values[index] for key, values in arrays.items()} for index in range(len(uv_vis))}
    write_bytes(path, pickle.dumps(annotations, protocol=3))  # what Python 3.5 wrote, as the published set


def read_annotations(root: Path, split: str) -> list[Annotation]:
    """The annotations of `root`/`split` ("training" or "evaluation"), checked, in the order of the images.

    InputError unless the ids are 0 to N-1, the arrays have their shapes and most hands are right. A hand is doubtful
    unless all its numbers are finite, K is a camera, its visible joints are in front of it, and its joints lie as close
    as those of a hand and project to their uv within 1 px. A hand that shows none may be anywhere: RHD annotates both
    hands even where one is out of the picture or behind the camera.
    """
    path = annotation_path(Path(root) / split)
    if not path.is_file():
        raise InputError(f"{path}: expected RHD's annotations, found no file")
    images = sum(1 for _ in path.parent.glob("color/[!.]*.png"))
    frames = images + 1000  # what the file may hold at most
    wanted = f"annotations of the {images:,} images in color/"
    raw = safe_pickle.load(path, _PICKLE_BYTES_A_FRAME * frames, wanted)
    if not isinstance(raw, dict) or set(raw) != set(range(len(raw))):
        raise InputError(f"{path}: expected a dict with ids 0 to N-1, found {_ids_found(raw)}")
    uv_vis, xyz_m, K = (_stacked(path, raw, key) for key in _SHAPES)
    del raw  # the published training labels take 170 MB in it
    found = _doubts(path, uv_vis, xyz_m, K)
    visible = uv_vis[..., 2] == 1
    return [
        Annotation(uv_vis[i, :, :2], visible[i], xyz_m[i], K[i], (found[2 * i], found[2 * i + 1]))
        for i in range(len(K))
    ]


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


def _refuse_doubts(path: Path, uv_vis: np.ndarray, xyz: np.ndarray, K: np.ndarray) -> None:
    for doubt in filter(None, _doubts(path, uv_vis, xyz, K)):
        raise InputError(str(doubt))


def _doubts(path: Path, uv_vis: np.ndarray, xyz: np.ndarray, K: np.ndarray) -> list[Doubt | None]:
    """What is wrong with each hand of annotations (N, 42, 3), (N, 42, 3), (N, 3, 3): 2 N, of each image left, right.

    InputError where the file is not what it should be. A hand that shows no joint may be any numbers.
    """
    visible = uv_vis[..., 2] == 1
    _refuse_visibility(path, uv_vis[..., 2], visible)
    visible, uv_px, xyz_m = visible.reshape(-1, 21), uv_vis.reshape(-1, 21, 3)[..., :2], xyz.reshape(-1, 21, 3)
    K = K.repeat(2, axis=0)
    used = visible.any(axis=1)
    bone = doubts.scale_bone_check(1000.0 * doubts.reach(xyz_m, MIDDLE_MCP_ROW)[:, MIDDLE_PIP_ROW, None])
    with np.errstate(all="ignore"):  # of damaged numbers, which are then doubtful
        of_used = _used_checks(visible, uv_px, xyz_m, K, bone)
        testable = doubts.testable(1000.0 * xyz_m, uv_px, MIDDLE_MCP_ROW) & np.isfinite(K).all(axis=(1, 2))
    arrays = {"xyz": xyz_m, "uv_vis": uv_px, "K": K}
    checks = [doubts.finite(f"finite {key}", values) for key, values in arrays.items()]
    checks += [dataclasses.replace(check, good=check.good | ~used[:, None]) for check in of_used]
    hint = doubts.unit_hint(xyz_m[used], MIDDLE_MCP_ROW, "metres")
    return doubts.find(lambda hand: f"{path}: {_place(hand)}", checks, testable & bone.good[:, 0], hint, used)


def _refuse_visibility(path: Path, visibility: np.ndarray, visible: np.ndarray) -> None:
    bad = ~visible & (visibility != 0)
    if bad.any():
        sample, row = np.argwhere(bad)[0]
        found = visibility[sample, row]
        raise InputError(f"{path}: sample {sample}, row {row}: expected visibility 0 or 1, found {found:.6g}")


def _place(hand: int) -> str:
    return f"sample {hand // 2}, {('left', 'right')[hand % 2]} hand"


def _used_checks(visible: np.ndarray, uv_px: np.ndarray, xyz_m: np.ndarray, K: np.ndarray, bone: Check) -> list[Check]:
    """Of hands (N, 21, ...) that show a joint: a camera (N, 3, 3) that sees it, and a hand's size."""
    focal_px, depth_m, reach_m = K[:, [0, 1], [0, 1]], xyz_m[..., 2], doubts.reach(xyz_m, MIDDLE_MCP_ROW)
    smallest_m, largest_m = _REACH_M
    farthest_m = reach_m.max(axis=1, keepdims=True)
    error_px, allowed_px = _reprojection_px(uv_px, xyz_m, K)
    focal = f"focal lengths above 0, up to {_MAX_FOCAL_PX} px"
    return [
        Check("K with last row 0 0 1", K[:, 2] == (0, 0, 1), K[:, 2], "in column"),
        Check(focal, (focal_px > 0) & (focal_px <= _MAX_FOCAL_PX), focal_px, "on axis"),
        Check(
            f"visible joints in front of the camera, {_NEAREST_M} m or more",
            ~visible | (depth_m >= _NEAREST_M),
            depth_m,
        ),
        Check(f"joints within {largest_m} m of the middle MCP", reach_m <= largest_m, reach_m),
        Check(f"a hand that reaches {smallest_m} m", farthest_m >= smallest_m, farthest_m, ""),
        bone,
        Check("uv = K xyz within 1 px, error in px", error_px <= allowed_px, error_px),
    ]


def _reprojection_px(uv_px: np.ndarray, xyz_m: np.ndarray, K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far (N, 21) joints project from their pixels, and how far they may. None where a joint is at the camera."""
    at_camera = np.abs(xyz_m[..., 2]) <= 1e-6
    projected_px = project(np.where(at_camera[..., None], (0.0, 0.0, 1.0), xyz_m), K)
    error_px = np.where(at_camera, 0.0, np.linalg.norm(projected_px - uv_px, axis=-1))
    # Far outside the picture float32 itself is coarse: a hidden joint beside the camera may lie at 10^6 px.
    return error_px, _REPROJECTION_PX + 1e-4 * np.abs(uv_px).max(axis=-1)
