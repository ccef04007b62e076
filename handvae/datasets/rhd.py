"""RHD, the Rendered Handpose Dataset (Zimmermann & Brox, ICCV 2017): its folder layout, read and written.

A split is a folder `training` or `evaluation` with color/%05d.png, mask/%05d.png, depth/%05d.png and
anno_<split>.pickle. Both hands are annotated in every image, 21 joints each, left hand first, in metres and tip to
base; the reader turns them into Samples. The same layout serves the synthetic hand and other people's photographs.
"""

import hashlib
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.atomic import write_bytes
from handvae.datasets import labels, plain_pickle, png
from handvae.datasets.sample import Sample
from handvae.errors import InputError
from handvae.joints import LEFT, MIDDLE_MCP, RIGHT, ROOT, SKELETON_OF, SKELETONS

SKELETON = SKELETONS[SKELETON_OF["rhd"]]
SPLITS = {"train": "training", "test": "evaluation"}
PUBLISHED_COUNTS = {"training": 41258, "evaluation": 2728}
PUBLISHED_TEST = PUBLISHED_COUNTS["evaluation"]
PUBLISHED_FOLDER = "RHD_published_v2"
HANDS = ("dominant", "both")
DEPTH_RANGE_M = 5.0

# RHD's block of 21 runs from each fingertip to its base: HAND21[i] is row TO_HAND21[i]. Its own inverse.
TO_HAND21 = (0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17)
MASK_LABELS = {LEFT: (2, 17), RIGHT: (18, 33)}  # first and last part label of a hand; 0 background, 1 body
_SIDE_NAMES = {LEFT: "left", RIGHT: "right"}
_SHAPES = {"uv_vis": (42, 3), "xyz": (42, 3), "K": (3, 3)}
_REPROJECTION_PX = 1.0  # RHD's own labels agree within 0.08 px
_REACH_M = 0.3  # from the middle finger's MCP to any joint: twice an adult's hand; depth does not show in uv
# An honest annotation has 1,040 bytes of float32 or 2,088 of float64, written as text at worst, and about 130 opcodes.
_PICKLE_BYTES_A_FRAME, _PICKLE_OPCODES_A_FRAME = 10_000, 400


@dataclass(frozen=True)
class Annotation:
    """Both hands of one image as RHD stores them: rows 0 to 20 left, 21 to 41 right, wrist first, then tip to base."""

    uv_px: np.ndarray  # (42, 2) float64
    visible: np.ndarray  # (42,) bool
    xyz_m: np.ndarray  # (42, 3) float64, camera frame: x right, y down, z forward
    K: np.ndarray  # (3, 3) float64


@dataclass(frozen=True)
class Frame:
    """One image: where it lies, and which of its hands are wanted."""

    root: Path
    split: str
    index: int
    annotation: Annotation
    hands: str  # "dominant" or "both"


def find(folder: Path) -> Path:
    """The root of the set: `folder` or the one folder in it with training/anno_training.pickle."""
    marker = "training/anno_training.pickle"
    return labels.one_root(folder, lambda root: (root / marker).is_file(), marker)


def frames(root: Path, hands: str) -> dict[str, list[Frame]]:
    """The frames of `train` and `test` in order; of a test image the protocol scores the dominant hand."""
    return {
        split: [
            Frame(root, folder, index, annotation, hands if split == "train" else "dominant")
            for index, annotation in enumerate(read_annotations(root, folder))
        ]
        for split, folder in SPLITS.items()
    }


def read(frame: Frame) -> list[Sample]:
    """The hands of one frame; see `read_frame`."""
    return read_frame(frame.root, frame.split, frame.index, frame.annotation, frame.hands)


def frames_with_images(root: Path) -> list[Frame]:
    """Every frame, for a look at the set."""
    return [frame for of_split in frames(root, "dominant").values() for frame in of_split]


def labelled_hands(root: Path) -> labels.Hands:
    """Every hand that shows a joint, of both splits; the root is the wrist, as stored: the palm, half-way in the image
    as well, does not project to its pixel exactly."""
    order = list(TO_HAND21)
    shown = [
        (1000.0 * annotation.xyz_m[_rows(side)][order], annotation.uv_px[_rows(side)][order], annotation.K, side)
        for split in SPLITS.values()
        for annotation in read_annotations(root, split)
        for side in (LEFT, RIGHT)
        if annotation.visible[_rows(side)].any()
    ]
    return labels.Hands(SKELETON, *map(np.stack, zip(*shown, strict=True)), np.full(len(shown), ""))


def write_frame(split_root: Path, index: int, color_u8: np.ndarray, mask_u8: np.ndarray, depth_m: np.ndarray) -> None:
    """Write one image (H, W, 3), its part mask (H, W) and its depth (H, W) in metres, 0 to 5, in RHD's encodings."""
    name = f"{index:05d}.png"
    depth_m = np.asarray(depth_m, np.float64)
    if not (depth_m.min() >= 0 and depth_m.max() <= DEPTH_RANGE_M):  # so written, NaN fails as well
        raise InputError(
            f"{split_root}/depth/{name}: expected depth from 0 to {DEPTH_RANGE_M} m, "
            f"found {depth_m.min():.4f} to {depth_m.max():.4f}"
        )
    code = np.rint(depth_m / DEPTH_RANGE_M * 65535).astype(np.uint16)
    depth_u8 = np.stack([code >> 8, code & 255, np.zeros_like(code)], axis=-1).astype(np.uint8)
    for folder, image_u8 in (("color", color_u8), ("mask", mask_u8), ("depth", depth_u8)):
        png.write_u8(Path(split_root) / folder / name, image_u8)


def read_depth_m(path: Path) -> np.ndarray:
    """(H, W) float32 metres: R is the high byte, G the low byte, 65535 is 5 m."""
    rgb = png.read_rgb_u8(path).astype(np.uint16)  # in uint8, NumPy 2 would overflow at R * 256
    return ((rgb[..., 0] * 256 + rgb[..., 1]) / 65535 * DEPTH_RANGE_M).astype(np.float32)


def write_annotations(split_root: Path, uv_vis: np.ndarray, xyz_m: np.ndarray, K: np.ndarray) -> None:
    """Write anno_<split>.pickle: uv_vis (N, 42, 3) with u, v in px and visibility; xyz_m (N, 42, 3); K (N, 3, 3).

    As float32; the split is the folder's name. InputError for what `read_annotations` would refuse.
    """
    path = _annotation_path(Path(split_root))
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
    path = _annotation_path(Path(root) / split)
    frames = max(len(_png_names(path.parent / "color")), PUBLISHED_COUNTS.get(split, 0)) + 1000
    if not path.is_file():
        raise InputError(f"{path}: expected RHD's annotations, found no file")
    raw = plain_pickle.load(path, _PICKLE_BYTES_A_FRAME * frames, _PICKLE_OPCODES_A_FRAME * frames)
    if not isinstance(raw, dict) or set(raw) != set(range(len(raw))):
        raise InputError(f"{path}: expected a dict with ids 0 to N-1, found {_ids_found(raw)}")
    uv_vis, xyz_m, K = (_stacked(path, raw, key) for key in _SHAPES)
    _check(path, uv_vis, xyz_m, K)
    visible = uv_vis[..., 2] == 1
    return [Annotation(uv_vis[i, :, :2], visible[i], xyz_m[i], K[i]) for i in range(len(raw))]


def read_frame(root: Path, split: str, index: int, annotation: Annotation, hands: str) -> list[Sample]:
    """The hands of one image: "dominant" gives one Sample, "both" every hand with a visible joint, left first.

    Dominant is the hand with more mask pixels (reference protocol: one hand an image). Where no joint of it is visible
    it is returned all the same. InputError for a missing, damaged or unsuitable image.
    """
    if hands not in HANDS:
        raise InputError(f"hands: expected one of {', '.join(HANDS)}, found {hands!r}")
    split_root, name = Path(root) / split, f"{index:05d}.png"
    image_u8 = png.read_rgb_u8(split_root / "color" / name)
    mask_u8 = png.read_grey_u8(split_root / "mask" / name)
    if mask_u8.shape != image_u8.shape[:2]:
        raise InputError(
            f"{split_root}/mask/{name}: expected {image_u8.shape[1]}x{image_u8.shape[0]} px as its colour image, "
            f"found {mask_u8.shape[1]}x{mask_u8.shape[0]}"
        )
    if mask_u8.max() > MASK_LABELS[RIGHT][1]:
        raise InputError(f"{split_root}/mask/{name}: expected part labels 0 to 33, found {mask_u8.max()}")
    if hands == "dominant":
        sides = [dominant_side(mask_u8)]
    else:
        sides = [side for side in (LEFT, RIGHT) if annotation.visible[_rows(side)].any()]
    return [_sample(split, index, image_u8, annotation, side) for side in sides]


def dominant_side(mask_u8: np.ndarray) -> int:
    """LEFT if more pixels of `mask_u8` (H, W) belong to the left hand, else RIGHT; a tie is RIGHT (BinaryDbReader)."""
    left, right = (
        np.count_nonzero((mask_u8 >= first) & (mask_u8 <= last))
        for first, last in (MASK_LABELS[LEFT], MASK_LABELS[RIGHT])
    )
    return LEFT if left > right else RIGHT


def inspect(root: Path) -> dict:
    """Check layout and counts of the set at `root`; return {"published": bool, "splits": {split: facts}, "notes": []}.

    Facts: number of frames, bytes of the colour and mask images, SHA-256 of the annotations. Decodes no image.
    """
    root = Path(root)
    facts = {split: _inspect_split(root / split) for split in SPLITS.values()}
    frames = {split: facts[split]["frames"] for split in facts}
    published = root.resolve().name == PUBLISHED_FOLDER or frames["training"] == PUBLISHED_COUNTS["training"]
    for split, expected in PUBLISHED_COUNTS.items():
        if published and frames[split] != expected:
            raise InputError(
                f"{root}/{split}: expected {expected:,} frames as in the published RHD, found {frames[split]:,}"
            )
    return {"published": published, "splits": facts, "notes": []}


def _inspect_split(split_root: Path) -> dict:
    bytes_of = {folder: _png_names(split_root / folder) for folder in ("color", "mask")}
    annotations = len(read_annotations(split_root.parent, split_root.name))
    counts = {folder: len(sizes) for folder, sizes in bytes_of.items()}
    if annotations == 0 or set(counts.values()) != {annotations}:
        raise InputError(
            f"{split_root}: expected as many images as annotations and at least one, "
            f"found {annotations:,} annotations, {counts['color']:,} in color, {counts['mask']:,} in mask"
        )
    for folder, sizes in bytes_of.items():
        missing = [name for index in range(annotations) if (name := f"{index:05d}.png") not in sizes]
        if missing:
            raise InputError(
                f"{split_root}/{folder}: expected 00000.png to {annotations - 1:05d}.png, found no {missing[0]}"
            )
    return {
        "frames": annotations,
        "image_bytes": sum(sum(sizes.values()) for sizes in bytes_of.values()),
        "annotations_sha256": hashlib.sha256(_annotation_path(split_root).read_bytes()).hexdigest(),
    }


def _annotation_path(split_root: Path) -> Path:
    return split_root / f"anno_{split_root.name}.pickle"


def _png_names(folder: Path) -> dict[str, int]:
    """File name to size of the PNG files in `folder`."""
    if not folder.is_dir():
        raise InputError(f"{folder}: expected RHD's folder of PNG images, found no folder")
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries if entry.name.endswith(".png")}


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
    _refuse(path, focal_px <= 0, "positive focal lengths", focal_px)
    _refuse(path, visible & (xyz_m[..., 2] <= 0), "visible joints in front of the camera, z in m", xyz_m[..., 2])
    # A hand that shows no joint is never used, and may be anything.
    used = np.repeat(visible.reshape(-1, 2, 21).any(axis=2), 21, axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        hands_m = xyz_m.reshape(-1, 2, 21, 3)
        reach_m = np.linalg.norm(hands_m - hands_m[:, :, 12:13], axis=-1).reshape(-1, 42)
    _refuse(
        path, used & ~(reach_m <= _REACH_M), f"joints within {_REACH_M} m of the middle MCP, distance in m", reach_m
    )
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


def _refuse(path: Path, bad: np.ndarray, expected: str, values: np.ndarray) -> None:
    """InputError for the first sample in which `bad` (N, ...) holds, with the value found there."""
    if bad.any():
        first = tuple(np.argwhere(bad)[0])
        row = f", row {first[1]}" if len(first) > 1 else ""
        raise InputError(f"{path}: sample {first[0]}{row}: expected {expected}, found {values[first]}")


def _rows(side: int) -> slice:
    return slice(0, 21) if side == LEFT else slice(21, 42)


def _sample(split: str, index: int, image_u8: np.ndarray, annotation: Annotation, side: int) -> Sample:
    rows, order = _rows(side), list(TO_HAND21)
    joints_mm = annotation.xyz_m[rows][order] * 1000.0
    uv_px, visible = annotation.uv_px[rows][order], annotation.visible[rows][order]
    # Row 0 is the wrist; the root is the palm, half-way to the middle finger's MCP in 3D and in the image, visible if
    # either is (BinaryDbReader of hand3d and of the paper's released evaluation; the paper's section 7.1 in words).
    joints_mm[ROOT] = 0.5 * (joints_mm[ROOT] + joints_mm[MIDDLE_MCP])
    uv_px[ROOT] = 0.5 * (uv_px[ROOT] + uv_px[MIDDLE_MCP])
    visible[ROOT] |= visible[MIDDLE_MCP]
    return Sample(
        name=f"{split}/{index:05d} {_SIDE_NAMES[side]}",
        image_u8=image_u8,
        image_hw=image_u8.shape[:2],
        joints_mm=joints_mm,
        uv_px=uv_px,
        visible=visible,
        camera=annotation.K,
        side=side,
        subject="",
        sequence="",
        frame=index,
        sizing_uv_px=uv_px,
    )
