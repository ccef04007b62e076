"""RHD's annotations: anno_<split>.pickle, read as plain numbers and checked, and written."""

import dataclasses
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.base.atomic import write_bytes
from handvae.base.errors import InputError
from handvae.base.geometry import project
from handvae.base.joints import LEFT, RIGHT
from handvae.datasets import doubts, safe_pickle
from handvae.datasets.doubts import Check, Doubt

# RHD's block of 21 runs from each fingertip to its base: HAND21[i] is row TO_HAND21[i]. Its own inverse.
TO_HAND21 = (0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17)
SIDE_NAMES = {LEFT: "left", RIGHT: "right"}
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

    def hand(self, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Copies of one hand's joints (21, 3) in mm, pixels (21, 2) and visibility (21,): wrist first, base to tip."""
        rows = 21 * side + np.array(TO_HAND21)
        return 1000.0 * self.xyz_m[rows], self.uv_px[rows], self.visible[rows]

    def visible_sides(self) -> list[int]:
        """LEFT, RIGHT or both: the hands that show a joint."""
        return [side for side in (LEFT, RIGHT) if self.visible[21 * side : 21 * side + 21].any()]

    def is_testable(self, side: int) -> bool:
        return self.doubts[side] is None or self.doubts[side].testable


def annotation_path(split_root: Path) -> Path:
    return split_root / f"anno_{split_root.name}.pickle"


def write_annotations(split_root: Path, uv_vis: np.ndarray, xyz_m: np.ndarray, K: np.ndarray) -> None:
    """Write anno_<split>.pickle: uv_vis (N, 42, 3) with u, v in px and visibility; xyz_m (N, 42, 3); K (N, 3, 3).

    As float32; the split is the folder's name. InputError for what `read_annotations` would refuse or doubt.
    """
    path = annotation_path(split_root)
    arrays = {"uv_vis": uv_vis, "xyz": xyz_m, "K": K}
    arrays = {key: np.ascontiguousarray(values, np.float32) for key, values in arrays.items()}
    for key, values in arrays.items():
        if values.shape != (len(uv_vis), *_SHAPES[key]):
            raise InputError(f"{path}: expected {key} of shape {(len(uv_vis), *_SHAPES[key])}, found {values.shape}")
    for doubt in filter(None, _doubts(path, **{key: values.astype(np.float64) for key, values in arrays.items()})):
        raise InputError(str(doubt))
    annotations = {index: {key: values[index] for key, values in arrays.items()} for index in range(len(uv_vis))}
    write_bytes(path, pickle.dumps(annotations, protocol=3))  # what Python 3.5 wrote, as the published set


def read_annotations(root: Path, split: str) -> list[Annotation]:
    """The annotations of `root`/`split` ("training" or "evaluation"), checked, in the order of the images.

    InputError unless the ids are 0 to N-1, the arrays have their shapes and most hands are right. A hand is doubtful
    unless all its numbers are finite, K is a camera, its visible joints are in front of it, and its joints lie as close
    as those of a hand and project to their uv within 1 px. A hand that shows none may be anywhere: RHD annotates both
    hands even where one is out of the picture or behind the camera.
    """
    path = annotation_path(root / split)
    if not path.is_file():
        raise InputError(f"{path}: expected RHD's annotations, found no file")
    images = sum(1 for _ in path.parent.glob("color/[!.]*.png"))
    frames = images + 1000  # what the file may hold at most
    wanted = f"annotations of the {images:,} images in color/"
    raw = safe_pickle.load(path, _PICKLE_BYTES_A_FRAME * frames, wanted)
    if not isinstance(raw, dict):
        raise InputError(f"{path}: expected a dict with ids 0 to N-1, found {type(raw).__name__}")
    if absent := set(range(len(raw))) - set(raw):
        raise InputError(
            f"{path}: expected a dict with ids 0 to N-1, found {len(raw):,} entries without id {min(absent)}"
        )
    uv_vis, xyz_m, K = (_stacked(path, raw, key) for key in _SHAPES)
    del raw  # the published training labels take 170 MB in it
    of_hands = _doubts(path, uv_vis, xyz_m, K)
    visible = uv_vis[..., 2] == 1
    pairs = zip(of_hands[::2], of_hands[1::2], strict=True)  # left, right
    return [Annotation(*values) for values in zip(uv_vis[..., :2], visible, xyz_m, K, pairs, strict=True)]


def _stacked(path: Path, raw: dict, key: str) -> np.ndarray:
    """(N, ...) float64 of one annotation array, its presence, type and shape checked in every sample."""
    for index in range(len(raw)):
        array = raw[index].get(key) if isinstance(raw[index], dict) else None
        if not isinstance(array, np.ndarray) or array.shape != _SHAPES[key] or array.dtype.kind not in "fiub":
            actual = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise InputError(f"{path}: sample {index}: expected {key} as numbers {_SHAPES[key]}, found {actual}")
    return np.array([raw[index][key] for index in range(len(raw))], np.float64).reshape(-1, *_SHAPES[key])


def _doubts(path: Path, uv_vis: np.ndarray, xyz: np.ndarray, K: np.ndarray) -> list[Doubt | None]:
    """What is wrong with each hand of annotations (N, 42, 3), (N, 42, 3), (N, 3, 3): 2 N, of each image left, right.

    InputError where the file is not what it should be. A hand that shows no joint may be any numbers.
    """
    bad = np.argwhere(~np.isin(uv_vis[..., 2], (0, 1)))
    if len(bad):
        sample, row = bad[0]
        visibility = uv_vis[sample, row, 2]
        raise InputError(f"{path}: sample {sample}, row {row}: expected visibility 0 or 1, found {visibility:.6g}")
    visible = (uv_vis[..., 2] == 1).reshape(-1, 21)
    uv_px, xyz_m = uv_vis.reshape(-1, 21, 3)[..., :2], xyz.reshape(-1, 21, 3)
    K = K.repeat(2, axis=0)
    used = visible.any(axis=1)
    bone = doubts.scale_bone_check(1000.0 * doubts.reach(xyz_m, MIDDLE_MCP_ROW)[:, MIDDLE_PIP_ROW, None])
    with np.errstate(all="ignore"):  # of damaged numbers, which are then doubtful
        used_checks = _used_checks(visible, uv_px, xyz_m, K, bone)
        testable = doubts.testable(1000.0 * xyz_m, uv_px, MIDDLE_MCP_ROW) & np.isfinite(K).all(axis=(1, 2))
    arrays = {"xyz": xyz_m, "uv_vis": uv_px, "K": K}
    checks = [doubts.finite(f"finite {key}", values) for key, values in arrays.items()]
    checks += [dataclasses.replace(check, good=check.good | ~used[:, None]) for check in used_checks]
    hint = doubts.unit_hint(xyz_m[used], MIDDLE_MCP_ROW, "metres")

    def where(hand: int) -> str:
        return f"{path}: sample {hand // 2}, {SIDE_NAMES[hand % 2]} hand"

    return doubts.find(where, checks, testable & bone.good[:, 0], hint, used)


def _used_checks(visible: np.ndarray, uv_px: np.ndarray, xyz_m: np.ndarray, K: np.ndarray, bone: Check) -> list[Check]:
    """What is expected of hands (N, 21, ...) that show a joint: a camera (N, 3, 3) that sees it, and a hand's size."""
    focal_px, depth_m, reach_m = K[:, [0, 1], [0, 1]], xyz_m[..., 2], doubts.reach(xyz_m, MIDDLE_MCP_ROW)
    smallest_m, largest_m = _REACH_M
    farthest_m = reach_m.max(axis=1, keepdims=True)
    error_px, allowed_px = _reprojection_px(uv_px, xyz_m, K)
    focal = f"focal lengths above 0, up to {_MAX_FOCAL_PX} px"
    in_front = f"visible joints in front of the camera, {_NEAREST_M} m or more"
    return [
        Check("K with last row 0 0 1", K[:, 2] == (0, 0, 1), K[:, 2], "in column"),
        Check(focal, (focal_px > 0) & (focal_px <= _MAX_FOCAL_PX), focal_px, "on axis"),
        Check(in_front, ~visible | (depth_m >= _NEAREST_M), depth_m),
        Check(f"joints within {largest_m} m of the middle MCP", reach_m <= largest_m, reach_m),
        Check(f"a hand that reaches {smallest_m} m", farthest_m >= smallest_m, farthest_m, ""),
        bone,
        Check("uv = K xyz within 1 px, error in px", error_px <= allowed_px, error_px),
    ]


def _reprojection_px(uv_px: np.ndarray, xyz_m: np.ndarray, K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far (N, 21) joints project from their pixels, and how far they may. 0 where a joint is at the camera."""
    at_camera = np.abs(xyz_m[..., 2]) <= 1e-6
    projected_px = project(np.where(at_camera[..., None], (0.0, 0.0, 1.0), xyz_m), K)
    error_px = np.where(at_camera, 0.0, np.linalg.norm(projected_px - uv_px, axis=-1))
    # Far outside the picture float32 itself is coarse: a hidden joint beside the camera may lie at 10^6 px.
    return error_px, _REPROJECTION_PX + 1e-4 * np.abs(uv_px).max(axis=-1)
