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
from handvae.datasets.rhd_annotations import PUBLISHED_COUNTS, SIDE_NAMES, Annotation, annotation_path, read_annotations
from handvae.datasets.rhd_annotations import TO_HAND21 as TO_HAND21  # one's own set is written through here
from handvae.datasets.rhd_annotations import write_annotations as write_annotations
from handvae.datasets.sample import Sample

SKELETON = SKELETONS[SKELETON_OF["rhd"]]
SPLITS = {"train": "training", "test": "evaluation"}
PUBLISHED_TEST = PUBLISHED_COUNTS["evaluation"]
PUBLISHED_FOLDER = "RHD_published_v2"
DEPTH_RANGE_M = 5.0
MASK_REACH_PX = 3
MASK_LABELS = {LEFT: (2, 17), RIGHT: (18, 33)}  # first and last part label of a hand; 0 background, 1 body


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
    training, evaluation = (read_annotations(root, split) for split in SPLITS.values())
    convert = not _is_published(root, len(training))
    splits = {"train": ("training", training, hands), "test": ("evaluation", evaluation, "dominant")}
    return {
        name: [_frame(root, split, index, annotation, of_hands, convert) for index, annotation in enumerate(of_split)]
        for name, (split, of_split, of_hands) in splits.items()
    }


def read(frame: Frame) -> list[Sample]:
    """The hands of one frame around which a crop can be cut.

    "dominant": the hand with more mask pixels (reference protocol: one hand an image), even if no joint of it is
    visible. "both": every hand with a visible joint, left first. InputError for a missing, damaged or unsuitable image.
    """
    path, mask_path = (frame.root / frame.split / folder / f"{frame.index:05d}.png" for folder in ("color", "mask"))
    image_u8, mask_u8 = png.read_rgb_u8(path, frame.convert), png.read_grey_u8(mask_path, frame.convert)
    if mask_u8.shape != image_u8.shape[:2]:
        wanted, actual = (f"{image.shape[1]}x{image.shape[0]}" for image in (image_u8, mask_u8))
        raise InputError(f"{mask_path}: expected {wanted} px as its colour image, found {actual}")
    if mask_u8.max() > MASK_LABELS[RIGHT][1]:
        raise InputError(
            f"{mask_path}: expected part labels 0 to 33, found {mask_u8.max()}; where there are no parts, 2 will do "
            "for a left hand and 18 for a right one"
        )
    sides = [dominant_side(mask_u8)] if frame.hands == "dominant" else frame.annotation.visible_sides()
    return [_sample(frame, image_u8, side) for side in sides if frame.annotation.is_testable(side)]


def frames_with_images(root: Path) -> list[Frame]:
    """Every frame whose dominant hand's label can be a hand's, for a look at the set."""
    return [frame for of_split in frames(root, "dominant").values() for frame in of_split if frame.doubt is None]


def labelled_hands(root: Path) -> labels.Hands:
    """Every hand that shows a joint, its root the wrist as stored: the palm does not project to its pixel exactly."""
    rows = [
        (*annotation.hand(side)[:2], annotation.K, side)
        for split in SPLITS.values()
        for annotation in read_annotations(root, split)
        for side in annotation.visible_sides()
        if annotation.doubts[side] is None
    ]
    if not rows:
        raise InputError(f"{root}: expected a hand with a visible joint, found none: uv_vis[:, 2] is 0 everywhere")
    return labels.Hands(SKELETON, *map(np.stack, zip(*rows, strict=True)), np.full(len(rows), ""), True)


def write_frame(split_root: Path, index: int, color_u8: np.ndarray, mask_u8: np.ndarray, depth_m: np.ndarray) -> None:
    """Write one image (H, W, 3), its part mask (H, W) and its depth (H, W) in metres, 0 to 5, in RHD's encodings."""
    name = f"{index:05d}.png"
    depth_m = np.asarray(depth_m, np.float64)
    path, low, high = split_root / "depth" / name, depth_m.min(), depth_m.max()
    if not (low >= 0 and high <= DEPTH_RANGE_M):  # so written, NaN fails as well
        raise InputError(f"{path}: expected depth from 0 to {DEPTH_RANGE_M} m, found {low:.4f} to {high:.4f}")
    code = np.rint(depth_m / DEPTH_RANGE_M * 65535).astype(">u2")  # R is the high byte, G the low one
    depth_u8 = np.zeros((*code.shape, 3), np.uint8)
    depth_u8[..., :2] = code[..., None].view(np.uint8)
    for folder, image_u8 in (("color", color_u8), ("mask", mask_u8), ("depth", depth_u8)):
        png.write(split_root / folder / name, image_u8)


def visible_joints_on_mask(frame: Frame) -> np.ndarray:
    """Of each visible joint of the hand that counts in a frame, whether its own hand's mask comes within 3 px."""
    sample = read(dataclasses.replace(frame, hands="dominant"))[0]
    mask_u8 = png.read_grey_u8(frame.root / frame.split / "mask" / f"{frame.index:05d}.png", frame.convert)
    reach, border = MASK_REACH_PX, 2 * MASK_REACH_PX + 1
    on_mask = np.pad(_hand_mask(mask_u8, sample.side), border)
    # joints far outside come to lie in the middle of the border
    uv_px = np.clip(np.rint(sample.uv_px[sample.visible]), -reach - 1, np.array(mask_u8.shape[::-1]) + reach)
    near = [on_mask[v - reach : v + reach + 1, u - reach : u + reach + 1] for u, v in uv_px.astype(int) + border]
    return np.array([box.any() for box in near], bool)


def dominant_side(mask_u8: np.ndarray) -> int:
    """LEFT if more pixels of `mask_u8` (H, W) belong to the left hand, else RIGHT; a tie is RIGHT (BinaryDbReader)."""
    left, right = (np.count_nonzero(_hand_mask(mask_u8, side)) for side in (LEFT, RIGHT))
    return LEFT if left > right else RIGHT


def _hand_mask(mask_u8: np.ndarray, side: int) -> np.ndarray:
    first, last = MASK_LABELS[side]
    return (mask_u8 >= first) & (mask_u8 <= last)


def inspect(root: Path) -> dict:
    """Layout and counts: {"published", "splits": {split: facts}, "notes": doubtful labels, images to convert}."""
    facts, doubtful = {}, []
    for split in SPLITS.values():
        annotations = read_annotations(root, split)
        facts[split] = _inspect_split(root / split, len(annotations))
        doubtful += [annotation.doubts[side] for annotation in annotations for side in annotation.visible_sides()]
    published = _is_published(root, facts["training"]["frames"])
    for split, expected in PUBLISHED_COUNTS.items():
        actual = facts[split]["frames"]
        if published and actual != expected:
            raise InputError(f"{root}/{split}: expected {expected:,} frames as in the published RHD, found {actual:,}")
    notes = doubts.notes(doubtful) + ([] if published else _conversions(root))
    return {"published": published, "splits": facts, "notes": notes}


def _is_published(root: Path, training_frames: int) -> bool:
    return root.resolve().name == PUBLISHED_FOLDER or training_frames == PUBLISHED_COUNTS["training"]


def _conversions(root: Path) -> list[str]:
    """Notes on the images that are not stored as those of the published set."""
    formats = Counter(
        (folder, png.format_name(root / split / folder / name), wanted)
        for folder, wanted in (("color", png.RGB_U8), ("mask", png.GREY_U8))
        for split in SPLITS.values()
        for name in _png_sizes(root / split / folder)
    )
    return [
        f"{count:,} pictures in {folder} are {actual}, not {wanted} as RHD's, and are converted"
        for (folder, actual, wanted), count in sorted(formats.items())
        if actual != wanted
    ]


def _inspect_split(split_root: Path, annotations: int) -> dict:
    sizes = {folder: _png_sizes(split_root / folder) for folder in ("color", "mask")}
    for folder, of_folder in sizes.items():
        if missing := [name for index in range(annotations) if (name := f"{index:05d}.png") not in of_folder]:
            raise InputError(
                f"{split_root}/{folder}: expected 00000.png to {annotations - 1:05d}.png as there are {annotations:,} "
                f"annotations, found no {missing[0]}"
            )
    color, mask = map(len, sizes.values())
    if annotations == 0 or not color == mask == annotations:
        raise InputError(
            f"{split_root}: expected as many images as annotations and at least one, "
            f"found {annotations:,} annotations, {color:,} in color, {mask:,} in mask"
        )
    return {
        "frames": annotations,
        "image_bytes": sum(sum(of_folder.values()) for of_folder in sizes.values()),
        "annotations_sha256": hashlib.sha256(annotation_path(split_root).read_bytes()).hexdigest(),
    }


def _png_sizes(folder: Path) -> dict[str, int]:
    """File name to size of the PNG files in `folder`."""
    if not folder.is_dir():
        raise InputError(f"{folder}: expected RHD's folder of PNG images, found no folder")
    names = [name for name in labels.names_in(folder) if name.endswith(".png")]
    return {name: labels.size_bytes(folder / name) for name in names}


def _frame(root: Path, split: str, index: int, annotation: Annotation, hands: str, convert: bool) -> Frame:
    """The frame, with what is doubtful about the hands that are wanted of it."""
    doubt = None
    if any(annotation.doubts):
        sides = annotation.visible_sides()
        if hands == "dominant":
            sides = [dominant_side(png.read_grey_u8(root / split / "mask" / f"{index:05d}.png", convert))]
        doubt = next(filter(None, (annotation.doubts[side] for side in sides)), None)
        if doubt and any(map(annotation.is_testable, sides)):
            doubt = dataclasses.replace(doubt, testable=True)
    return Frame(root, split, index, annotation, hands, doubt, convert)


def _sample(frame: Frame, image_u8: np.ndarray, side: int) -> Sample:
    joints_mm, uv_px, visible = frame.annotation.hand(side)
    # Row 0 is the wrist; the root is the palm, half-way to the middle finger's MCP in 3D and in the image, visible if
    # either is (BinaryDbReader of hand3d and of the paper's released evaluation; the paper's section 7.1 in words).
    joints_mm[ROOT] = 0.5 * (joints_mm[ROOT] + joints_mm[MIDDLE_MCP])
    uv_px[ROOT] = 0.5 * (uv_px[ROOT] + uv_px[MIDDLE_MCP])
    visible[ROOT] |= visible[MIDDLE_MCP]
    image_name = f"{frame.split}/{frame.index:05d}"
    return Sample(
        name=f"{image_name} {SIDE_NAMES[side]}",
        image_u8=image_u8,
        image_hw=image_u8.shape[:2],
        joints_mm=joints_mm,
        uv_px=uv_px,
        visible=visible,
        camera=frame.annotation.K,
        side=side,
        subject="",
        sequence="",
        frame=frame.index,
        moment=image_name,
        trainable=frame.annotation.doubts[side] is None,
        sizing_uv_px=uv_px,
    )
