"""Raw dataset to HDF5 rows: the reference's crops with a context margin, joints in millimetres; one streaming pass."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from handvae.base import geometry, memory, workers
from handvae.base.errors import InputError
from handvae.base.joints import MIDDLE_MCP
from handvae.base.progress import Progress
from handvae.datasets.sample import DepthSample, Sample
from handvae.preprocessing import depth_crops
from handvae.preprocessing.store import Row

FRAMES_A_TASK = 16
GREY = 128  # the reference pads with 0 in [-0.5, 0.5]
SAME = ("side", "trainable", "name", "subject", "sequence", "frame", "moment")  # in a row as in its sample

Frame = TypeVar("Frame")
Read = Callable[[Frame], list[Sample] | list[DepthSample]]


@dataclass(frozen=True)
class Size:
    crop_px: int
    context_px: int


def size(crop_px: int, context: float) -> Size:
    """The stored crop's side: `context` times the network's, rounded so that the network's lies in its middle."""
    return Size(crop_px, crop_px + 2 * round(crop_px * (context - 1) / 2))


def hands(frames: Sequence[Frame], read: Read, crops: Size, label: str, centre: str = "joint") -> Iterator[Row]:
    """Stream the hands that `read` gives for each of `frames`, in order, read and cropped by all cores.

    `frames` and `read` (a module's function, or a functools.partial of one) go to the workers and must be picklable;
    `label` names the stream in its progress line. `centre` of depth crops: "joint", the protocol's, or "mass", what was
    measured around it. Frames without a hand and depth hands without a measurement are counted and named on stdout.
    """
    tasks = [frames[start : start + FRAMES_A_TASK] for start in range(0, len(frames), FRAMES_A_TASK)]
    function = partial(_rows_of_frames, read, crops, centre)
    without_hand: list[str] = []
    unseen: list[str] = []
    with Progress(f"preprocess {label}", len(frames), "frames") as progress:
        for task, rows_of_task in zip(tasks, workers.in_order(function, tasks, workers.cores()), strict=True):
            for number, rows in enumerate(rows_of_task, progress.n):
                if not rows:
                    without_hand.append(str(number))
                unseen += [row["name"] for row, seen in rows if not seen]
                yield from (row for row, _ in rows)
            progress.advance(len(task))
    if without_hand:
        print(f"{label}: no joint of any hand is visible in {_few(without_hand, 'images, left out')}")
    if unseen:
        untrained = _few(unseen, "hands, which are tested on but not trained on")
        print(f"{label}: nothing was measured in the cube around the joint of {untrained}")


def _few(names: list[str], noun: str) -> str:
    """The number of names, and the first five of them."""
    return f"{len(names):,} {noun}: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"


def _rows_of_frames(read: Read, crops: Size, centre: str, frames: Sequence[Frame]) -> list[list[tuple[Row, bool]]]:
    """The hands of each frame, and whether anything of them is seen."""
    _keep_freed_memory()
    return [
        [
            (crop_hand(sample, crops), True) if isinstance(sample, Sample) else crop_depth_hand(sample, crops, centre)
            for sample in read(frame)
        ]
        for frame in frames
    ]


@cache
def _keep_freed_memory() -> None:
    """Once a process. Each image's buffers come and go: without this that takes a tenth of the time."""
    memory.keep_freed(top_pad=16 * 2**20, trim_threshold=256 * 2**20, mmap_threshold=32 * 2**20)


def without_visible_joint(rows: Mapping[str, Any]) -> list[int]:
    """The frame numbers of the rows (columns `frame` and `visible`) whose hand shows no joint."""
    return rows["frame"][:][~rows["visible"][:].any(axis=1)].tolist()


def check_visible(without_joint: dict[str, list[int]], allowed: dict[str, Collection[int]], root: Path) -> None:
    """Name on stdout the frames of each split that may have a hand without a visible joint; InputError for the others.

    The hands of the `allowed` frames stay in the set, cropped as the reference does.
    """
    refused = []
    for split, frames in without_joint.items():
        kept = [str(frame) for frame in frames if frame in allowed[split]]
        others = [str(frame) for frame in frames if frame not in allowed[split]]
        if kept:
            print(f"{split}: no joint of {len(kept)} hands is visible, which the protocol allows: {', '.join(kept)}")
        if others:
            refused.append(f"{split} {', '.join(others)}")
    if refused:
        raise InputError(
            f"{root}: expected a visible joint on every dominant hand, found none in frames of {'; '.join(refused)}; "
            "if that is right, list them in data.rhd.protocol.without_visible_joint"
        )


def crop_hand(sample: Sample, crops: Size) -> Row:
    """Cut a sample's context crop."""
    # sizing_uv_px differs from uv_px in the root alone: the centre is the same joint in both
    crop = geometry.reference_crop(sample.sizing_uv_px, sample.visible, MIDDLE_MCP, sample.image_hw)
    transform = geometry.context_transform(crop, crops.crop_px, crops.context_px)
    row = _labels(sample, transform)
    row |= {"visible": sample.visible, "scale_bone_mm": geometry.scale_bone_mm(sample.joints_mm)}
    if sample.image_u8 is not None:
        row["image_u8"] = resample(sample.image_u8, transform, crops.context_px)
    return row


def crop_depth_hand(sample: DepthSample, crops: Size, centre: str) -> tuple[Row, bool]:
    """The context crop of a sample's cube, and whether anything was measured in the cube around its joint.

    If not, the joint is the centre, and the hand is not trained on: a picture of nothing has no pose to teach.
    """
    joint_mm = sample.joints_mm[sample.centre_joint]
    cube = (sample.depth_mm, sample.camera, joint_mm, sample.cube_mm)
    mass_mm = depth_crops.centre_of_mass_mm(*cube) if centre == "mass" else None
    seen = mass_mm is not None if centre == "mass" else depth_crops.anything_in_cube(*cube)
    # rounded as it is stored, so that the crop is around just that
    centre_mm = np.float32(joint_mm if mass_mm is None else mass_mm)
    depth_f16, transform = depth_crops.crop(
        sample.depth_mm, sample.camera, centre_mm, sample.cube_mm, crops.crop_px, crops.context_px
    )
    row = _labels(sample, transform)
    row |= {"depth_f16": depth_f16, "centre_mm": centre_mm, "cube_mm": sample.cube_mm}
    row["trainable"] = sample.trainable and seen
    return row, seen


def _labels(sample: Sample | DepthSample, transform: np.ndarray) -> Row:
    """Joints in pixels and intrinsics follow the crop, joints in millimetres stay."""
    return {
        "joints_mm": sample.joints_mm.astype(np.float32),
        "uv_px": geometry.transform_px(sample.uv_px, transform).astype(np.float32),
        "camera": transform @ sample.camera,
        **{key: getattr(sample, key) for key in SAME},
    }


def resample(image_u8: np.ndarray, transform: np.ndarray, side_px: int) -> np.ndarray:
    """Cut the square that a zoom-and-shift `transform` maps to (0..side_px)²; outside the image it is grey.

    Bilinear when enlarging, as the reference; when shrinking the filter widens (antialiasing), which the reference,
    whose crops are never shrunk at 256 px, does not need.
    """
    zoom = transform[0, 0]
    # Pillow counts from pixel edges, we from pixel centres: half a pixel of the image, half of one of the crop
    left, top = -transform[:2, 2] / zoom + 0.5 - 0.5 / zoom
    span = side_px / zoom
    x0, y0 = int(np.floor(left)) - 2, int(np.floor(top)) - 2
    window_px = int(np.ceil(span)) + 6
    window = np.full((window_px, window_px, 3), GREY, np.uint8)
    height, width = image_u8.shape[:2]
    u0, u1 = np.clip((x0, x0 + window_px), 0, width)
    v0, v1 = np.clip((y0, y0 + window_px), 0, height)
    window[v0 - y0 : v1 - y0, u0 - x0 : u1 - x0] = image_u8[v0:v1, u0:u1]
    box = (left - x0, top - y0, left - x0 + span, top - y0 + span)
    return np.asarray(Image.fromarray(window).resize((side_px, side_px), Image.Resampling.BILINEAR, box))
