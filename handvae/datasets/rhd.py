"""RHD, the Rendered Handpose Dataset (Zimmermann & Brox, ICCV 2017): its folder layout, read and written.

A split is a folder `training` or `evaluation` with color/%05d.png, mask/%05d.png, depth/%05d.png and
anno_<split>.pickle. Both hands are annotated in every image, 21 joints each, left hand first, in metres and tip to
base; the reader turns them into Samples. The same layout serves the synthetic hand and other people's photographs.
"""

import dataclasses
import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.base.errors import InputError
from handvae.base.joints import LEFT, MIDDLE_MCP, RIGHT, ROOT, SKELETON_OF, SKELETONS
from handvae.datasets import doubts, labels, png
from handvae.datasets.doubts import Doubt
from handvae.datasets.rhd_annotations import PUBLISHED_COUNTS, Annotation, annotation_path, read_annotations
from handvae.datasets.rhd_annotations import write_annotations as write_annotations  # the set is written through here
from handvae.datasets.sample import Sample

SKELETON = SKELETONS[SKELETON_OF["rhd"]]
SPLITS = {"train": "training", "test": "evaluation"}
PUBLISHED_TEST = PUBLISHED_COUNTS["evaluation"]
PUBLISHED_FOLDER = "RHD_published_v2"
HANDS = ("dominant", "both")
DEPTH_RANGE_M = 5.0
MASK_REACH_PX = 3

# RHD's block of 21 runs from each fingertip to its base: HAND21[i] is row TO_HAND21[i]. Its own inverse.
TO_HAND21 = (0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17)
MASK_LABELS = {LEFT: (2, 17), RIGHT: (18, 33)}  # first and last part label of a hand; 0 background, 1 body
_SIDE_NAMES = {LEFT: "left", RIGHT: "right"}


@dataclass(frozen=True)
class Frame:
    """One image: where it lies, and which of its hands are wanted."""

    root: Path
    split: str
    index: int
    annotation: Annotation
    hands: str  # "dominant" or "both"
    doubt: Doubt | None  # of the first wanted hand that has one; testable if a crop of any wanted hand can be cut
    convert: bool  # pictures of one's own may be palette, grey or with alpha


def find(folder: Path) -> Path:
    """The root of the set: `folder` or the one folder in it with training/anno_training.pickle."""
    marker = "training/anno_training.pickle"
    return labels.one_root(folder, lambda root: (root / marker).is_file(), marker)


def frames(root: Path, hands: str) -> dict[str, list[Frame]]:
    """The frames of `train` and `test` in order; of a test image the protocol scores the dominant hand."""
    annotations = {split: read_annotations(root, folder) for split, folder in SPLITS.items()}
    convert = not _is_published(root, len(annotations["train"]))
    return {
        split: [
            _frame(root, SPLITS[split], index, annotation, hands if split == "train" else "dominant", convert)
            for index, annotation in enumerate(of_split)
        ]
        for split, of_split in annotations.items()
    }


def read(frame: Frame) -> list[Sample]:
    """The hands of one frame; see `read_frame`."""
    return read_frame(frame.root, frame.split, frame.index, frame.annotation, frame.hands, frame.convert)


def frames_with_images(root: Path) -> list[Frame]:
    """Every frame whose dominant hand's label can be a hand's, for a look at the set."""
    return [frame for of_split in frames(root, "dominant").values() for frame in of_split if frame.doubt is None]


def labelled_hands(root: Path) -> labels.Hands:
    """Every hand that shows a joint, of both splits; the root is the wrist, as stored: the palm, half-way in the image
    as well, does not project to its pixel exactly."""
    order = list(TO_HAND21)
    found = [
        (1000.0 * annotation.xyz_m[_rows(side)][order], annotation.uv_px[_rows(side)][order], annotation.K, side)
        for split in SPLITS.values()
        for annotation in read_annotations(root, split)
        for side in _visible_sides(annotation)
        if annotation.doubts[side] is None
    ]
    if not found:
        raise InputError(f"{root}: expected a hand with a visible joint, found none: uv_vis[:, 2] is 0 everywhere")
    return labels.Hands(SKELETON, *map(np.stack, zip(*found, strict=True)), np.full(len(found), ""), True)


def write_frame(split_root: Path, index: int, color_u8: np.ndarray, mask_u8: np.ndarray, depth_m: np.ndarray) -> None:
    """Write one image (H, W, 3), its part mask (H, W) and its depth (H, W) in metres, 0 to 5, in RHD's encodings."""
    name = f"{index:05d}.png"
    depth_m = np.asarray(depth_m, np.float64)
    if not (depth_m.min() >= 0 and depth_m.max() <= DEPTH_RANGE_M):  # so written, NaN fails as well
        raise InputError(
            f"{split_root}/depth/{name}: expected depth from 0 to {DEPTH_RANGE_M} m, "
            f"found {depth_m.min():.4f} to {depth_m.max():.4f}"
        )
    code = np.rint(depth_m / DEPTH_RANGE_M * 65535).astype(">u2")
    depth_u8 = np.zeros((*code.shape, 3), np.uint8)
    depth_u8[..., :2] = code[..., None].view(np.uint8)
    for folder, image_u8 in (("color", color_u8), ("mask", mask_u8), ("depth", depth_u8)):
        png.write(Path(split_root) / folder / name, image_u8)


def read_depth_m(path: Path) -> np.ndarray:
    """(H, W) float32 metres: R is the high byte, G the low byte, 65535 is 5 m."""
    rgb = png.read_rgb_u8(path).astype(np.uint16)  # in uint8, NumPy 2 would overflow at R * 256
    return ((rgb[..., 0] * 256 + rgb[..., 1]) / 65535 * DEPTH_RANGE_M).astype(np.float32)


def read_frame(
    root: Path, split: str, index: int, annotation: Annotation, hands: str, convert: bool = False
) -> list[Sample]:
    """The hands of one image: "dominant" gives one Sample, "both" every hand with a visible joint, left first; none of
    a hand around which no crop can be cut.

    Dominant is the hand with more mask pixels (reference protocol: one hand an image). Where no joint of it is visible
    it is returned all the same. InputError for a missing, damaged or unsuitable image; `convert` makes more of them
    suitable, see `png`.
    """
    if hands not in HANDS:
        raise InputError(f"hands: expected one of {', '.join(HANDS)}, found {hands!r}")
    split_root, name = Path(root) / split, f"{index:05d}.png"
    image_u8 = png.read_rgb_u8(split_root / "color" / name, convert)
    mask_u8 = png.read_grey_u8(split_root / "mask" / name, convert)
    if mask_u8.shape != image_u8.shape[:2]:
        raise InputError(
            f"{split_root}/mask/{name}: expected {image_u8.shape[1]}x{image_u8.shape[0]} px as its colour image, "
            f"found {mask_u8.shape[1]}x{mask_u8.shape[0]}"
        )
    if mask_u8.max() > MASK_LABELS[RIGHT][1]:
        raise InputError(
            f"{split_root}/mask/{name}: expected part labels 0 to 33, found {mask_u8.max()}; where there are no "
            "parts, 2 will do for a left hand and 18 for a right one"
        )
    sides = [dominant_side(mask_u8)] if hands == "dominant" else _visible_sides(annotation)
    return [_sample(split, index, image_u8, annotation, side) for side in sides if _testable(annotation, side)]


def visible_joints_on_mask(frame: Frame) -> np.ndarray:
    """Of each visible joint of the hand that counts in a frame, whether its own hand's mask comes within 3 px."""
    sample = read(dataclasses.replace(frame, hands="dominant"))[0]
    mask_u8 = png.read_grey_u8(frame.root / frame.split / "mask" / f"{frame.index:05d}.png", frame.convert)
    first, last = MASK_LABELS[sample.side]
    reach, border = MASK_REACH_PX, 2 * MASK_REACH_PX + 1
    on_mask = np.pad((mask_u8 >= first) & (mask_u8 <= last), border)
    # joints far outside come to lie in the middle of the border
    uv_px = np.clip(np.rint(sample.uv_px[sample.visible]), -reach - 1, np.array(mask_u8.shape[::-1]) + reach)
    near = [on_mask[v - reach : v + reach + 1, u - reach : u + reach + 1] for u, v in uv_px.astype(int) + border]
    return np.array([box.any() for box in near], bool)


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
    facts, doubtful = {}, []
    for split in SPLITS.values():
        annotations = read_annotations(root, split)
        facts[split] = _inspect_split(root / split, len(annotations))
        doubtful += [one.doubts[side] for one in annotations for side in _visible_sides(one)]
    frames = {split: facts[split]["frames"] for split in facts}
    published = _is_published(root, frames["training"])
    for split, expected in PUBLISHED_COUNTS.items():
        if published and frames[split] != expected:
            raise InputError(
                f"{root}/{split}: expected {expected:,} frames as in the published RHD, found {frames[split]:,}"
            )
    notes = doubts.notes(doubtful) + ([] if published else _conversions(root))
    return {"published": published, "splits": facts, "notes": notes}


def _is_published(root: Path, training_frames: int) -> bool:
    return Path(root).resolve().name == PUBLISHED_FOLDER or training_frames == PUBLISHED_COUNTS["training"]


def _conversions(root: Path) -> list[str]:
    """What is said of the pictures that are not stored as those of the published set."""
    kinds = Counter(
        (folder, png.kind(root / split / folder / name), wanted)
        for folder, wanted in (("color", png.RGB_U8), ("mask", png.GREY_U8))
        for split in SPLITS.values()
        for name in _png_names(root / split / folder)
    )
    return [
        f"{count:,} pictures in {folder} are {kind}, not {wanted} as RHD's, and are converted"
        for (folder, kind, wanted), count in sorted(kinds.items())
        if kind != wanted
    ]


def _inspect_split(split_root: Path, annotations: int) -> dict:
    bytes_of = {folder: _png_names(split_root / folder) for folder in ("color", "mask")}
    for folder, sizes in bytes_of.items():
        missing = [name for index in range(annotations) if (name := f"{index:05d}.png") not in sizes]
        if missing:
            raise InputError(
                f"{split_root}/{folder}: expected 00000.png to {annotations - 1:05d}.png as there are {annotations:,} "
                f"annotations, found no {missing[0]}"
            )
    counts = {folder: len(sizes) for folder, sizes in bytes_of.items()}
    if annotations == 0 or set(counts.values()) != {annotations}:
        raise InputError(
            f"{split_root}: expected as many images as annotations and at least one, "
            f"found {annotations:,} annotations, {counts['color']:,} in color, {counts['mask']:,} in mask"
        )
    return {
        "frames": annotations,
        "image_bytes": sum(sum(sizes.values()) for sizes in bytes_of.values()),
        "annotations_sha256": hashlib.sha256(annotation_path(split_root).read_bytes()).hexdigest(),
    }


def _png_names(folder: Path) -> dict[str, int]:
    """File name to size of the PNG files in `folder`."""
    if not folder.is_dir():
        raise InputError(f"{folder}: expected RHD's folder of PNG images, found no folder")
    names = [name for name in labels.names_in(folder) if name.endswith(".png")]
    return {name: labels.size_bytes(folder / name) for name in names}


def _frame(root: Path, split: str, index: int, annotation: Annotation, hands: str, convert: bool) -> Frame:
    """The frame, with what is doubtful about the hands that are wanted of it."""
    doubt = None
    if any(annotation.doubts):
        sides = _visible_sides(annotation)
        if hands == "dominant":
            sides = [dominant_side(png.read_grey_u8(root / split / "mask" / f"{index:05d}.png", convert))]
        doubt = next((found for side in sides if (found := annotation.doubts[side])), None)
        if doubt and any(_testable(annotation, side) for side in sides):
            doubt = dataclasses.replace(doubt, testable=True)
    return Frame(root, split, index, annotation, hands, doubt, convert)


def _visible_sides(annotation: Annotation) -> list[int]:
    return [side for side in (LEFT, RIGHT) if annotation.visible[_rows(side)].any()]


def _testable(annotation: Annotation, side: int) -> bool:
    doubt = annotation.doubts[side]
    return doubt is None or doubt.testable


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
        moment=f"{split}/{index:05d}",
        trainable=annotation.doubts[side] is None,
        sizing_uv_px=uv_px,
    )
