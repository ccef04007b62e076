"""Whole pictures with the squares around their hands: those that the evaluation's protocol cuts out."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from handvae.base import geometry, workers
from handvae.base.joints import MIDDLE_MCP
from handvae.base.progress import tracked
from handvae.datasets.sample import Sample
from handvae.datasets.sets import DATASETS
from handvae.detection.network import CROP_PX
from handvae.preprocessing.preprocess import resample

FRAMES_A_TASK = 16
CONTEXT_PX = 80  # of a stored crop, the middle CROP_PX of which are the hand's square


class Pictures(NamedTuple):
    """Frames of one or more sets, each shrunk into a square whose rest is grey."""

    images_u8: np.ndarray  # (N, P, P, 3)
    squares_px: np.ndarray  # (N, 2, 3) float32: u, v of the middle and the side of the left and the right hand, or NaN
    crops_u8: np.ndarray  # (M, K, K, 3) around each hand, with a margin
    sides: np.ndarray  # (M,) of the crops: joints.LEFT or RIGHT


def to_picture(image_hw: tuple[int, int], picture_px: int) -> np.ndarray:
    """The (3, 3) map from an image's pixels into the middle of a square picture of `picture_px` a side."""
    height, width = image_hw
    zoom = picture_px / max(height, width)
    offset = (picture_px - zoom * np.array([width, height])) / 2 + 0.5 * zoom - 0.5  # pixel centres are at integers
    return np.array([[zoom, 0, offset[0]], [0, zoom, offset[1]], [0, 0, 1.0]])


def shrunk(image_u8: np.ndarray, picture_px: int) -> np.ndarray:
    """The whole image (H, W, 3) as such a picture."""
    return resample(image_u8, to_picture(image_u8.shape[:2], picture_px), picture_px)


def hand_square(sample: Sample) -> geometry.Crop:
    """The square that the evaluation's protocol cuts around a hand."""
    return geometry.reference_crop(sample.sizing_uv_px, sample.visible, MIDDLE_MCP, sample.image_hw)


def square_px(sample: Sample) -> np.ndarray:
    """u, v of the middle and the side (3,) of that square."""
    crop = hand_square(sample)
    return np.array([*crop.centre_px, crop.side_px])


def every_hand(name: str, frame: Any, scored: Sample) -> list[Sample]:
    """All hands of a frame of the set `name` that show a joint: RHD has two in some. `scored`: the protocol's hand."""
    samples = DATASETS[name].read(dataclasses.replace(frame, hands="both")) if name == "rhd" else [scored]
    return [sample for sample in samples if sample.visible.any()]


def evenly(frames: list[Any], most: int) -> list[Any]:
    """At most so many of the frames, evenly picked."""
    return [frames[number * len(frames) // most] for number in range(most)] if len(frames) > most else frames


def pictures(name: str, frames: Sequence[Any], picture_px: int, label: str) -> Pictures:
    """Read frames of the set `name` by all cores; those without a hand are left out."""
    tasks = [frames[start : start + FRAMES_A_TASK] for start in range(0, len(frames), FRAMES_A_TASK)]
    read = workers.in_order(partial(_read, name, picture_px), tasks, workers.cores())
    return concatenated([part for part in tracked(read, f"read {label}", len(tasks), "blocks") if part])


def concatenated(parts: Sequence[Pictures]) -> Pictures:
    return Pictures(*map(np.concatenate, zip(*parts, strict=True)))


def _read(name: str, picture_px: int, frames: Sequence[Any]) -> Pictures | None:
    """None where no frame has a hand."""
    images, squares, crops, sides = [], [], [], []
    for samples in (DATASETS[name].read(frame) for frame in frames):
        seen = [sample for sample in samples if sample.visible.any() and sample.trainable]
        if not seen:
            continue
        image_u8 = seen[0].image_u8
        transform = to_picture(image_u8.shape[:2], picture_px)
        of_sides = np.full((2, 3), np.nan, np.float32)
        for sample in seen:
            crop = hand_square(sample)
            crops.append(resample(image_u8, geometry.context_transform(crop, CROP_PX, CONTEXT_PX), CONTEXT_PX))
            sides.append(sample.side)
            of_sides[sample.side] = [*geometry.transform_px(crop.centre_px, transform), crop.side_px * transform[0, 0]]
        images.append(resample(image_u8, transform, picture_px))
        squares.append(of_sides)
    return Pictures(np.stack(images), np.stack(squares), np.stack(crops), np.array(sides)) if images else None
