"""Raw dataset to HDF5: the reference's crop with a context margin, palm joint, millimetres; one streaming pass."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from handvae import geometry, workers
from handvae.datasets import rhd
from handvae.datasets.sample import Sample
from handvae.errors import InputError
from handvae.joints import MIDDLE_MCP
from handvae.progress import Progress
from handvae.store import Hand

FRAMES_A_TASK = 16
GREY = 128  # the reference pads with 0 in [-0.5, 0.5]


@dataclass(frozen=True)
class Size:
    crop_px: int
    context_px: int


def size(crop_px: int, context: float) -> Size:
    """The stored crop's side: `context` times the network's, rounded so that the network's lies in its middle."""
    return Size(crop_px, crop_px + 2 * round(crop_px * (context - 1) / 2))


def rhd_hands(root: Path, split: str, hands: str, without_visible_joint: list[int], crops: Size) -> Iterator[Hand]:
    """Stream the hands of one RHD split ("training" or "evaluation") in frame order, decoded by all cores.

    Frames whose dominant hand has no visible joint are an InputError that lists them all, but for those listed in
    `without_visible_joint`: these are cropped as the reference does and stay in the set.
    """
    annotations = rhd.read_annotations(root, split)
    frames = list(enumerate(annotations))
    tasks = [frames[start : start + FRAMES_A_TASK] for start in range(0, len(frames), FRAMES_A_TASK)]
    progress = Progress(f"preprocess {split}", len(frames), "frames")
    invisible: list[int] = []
    function = partial(_hands_of_frames, root, split, hands, crops)
    for task, hands_of_task in zip(tasks, workers.in_order(function, tasks, workers.cores()), strict=True):
        for index, hand in hands_of_task:
            if not hand.visible.any() and index not in without_visible_joint:
                invisible.append(index)
            else:
                yield hand
        progress.advance(len(task))
    if invisible:
        raise InputError(
            f"{root}/{split}: expected a visible joint on every dominant hand, found none in {len(invisible)} frames: "
            f"{', '.join(map(str, invisible))}; if that is right, list them in data.rhd.without_visible_joint.{split}"
        )


def _hands_of_frames(root: Path, split: str, hands: str, crops: Size, frames: list) -> list[tuple[int, Hand]]:
    return [
        (index, crop_hand(sample, crops))
        for index, annotation in frames
        for sample in rhd.read_frame(root, split, index, annotation, hands)
    ]


def crop_hand(sample: Sample, crops: Size) -> Hand:
    """Cut a sample's context crop; joints in pixels and intrinsics follow, joints in millimetres stay."""
    crop = geometry.reference_crop(sample.uv_px, sample.visible, MIDDLE_MCP, sample.image_u8.shape[:2])
    transform = geometry.context_transform(crop, crops.crop_px, crops.context_px)
    return Hand(
        image_u8=resample(sample.image_u8, transform, crops.context_px),
        joints_mm=sample.joints_mm.astype(np.float32),
        uv_px=geometry.transform_px(sample.uv_px, transform).astype(np.float32),
        visible=sample.visible,
        camera=transform @ sample.camera,
        side=sample.side,
        scale_bone_mm=np.float32(geometry.scale_bone_mm(sample.joints_mm)),
        name=sample.name,
        subject=sample.subject,
    )


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
