"""Hands in whole pictures: squares, sides and how sure the detector is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from handvae.detection import network
from handvae.detection.frames import shrunk, to_picture
from handvae.detection.network import HEAT, OFFSET, SIZE, STRIDE, DetectorNetwork
from handvae.detection.settings import DetectorSettings
from handvae.detection.training import as_input

BATCH = 64
MOST_HANDS = 8  # of a picture
ONE_HAND = 0.5  # peaks closer than this share of the larger square are one hand's


@dataclass(frozen=True)
class Detection:
    """A hand in an image, in its pixels."""

    centre_px: tuple[float, float]
    side_px: float
    hand_side: int  # joints.LEFT or RIGHT
    side_share: float  # of its score in that of both sides: 1 is sure, 0.5 is a guess
    confidence: float  # 0 to 1


@dataclass(frozen=True)
class Detector:
    network: DetectorNetwork
    settings: DetectorSettings
    path: Path

    @classmethod
    def load(cls, path: Path) -> "Detector":
        """InputError for a file that is no detector."""
        trained, settings, _ = network.load(path)
        return cls(trained, settings, path)

    def detect(self, images_u8: Sequence[np.ndarray]) -> list[list[Detection]]:
        """The hands of each image (H, W, 3), the surest first."""
        size_px = self.settings.picture_px
        pictures = np.stack([shrunk(image_u8, size_px) for image_u8 in images_u8])
        shapes = [image_u8.shape[:2] for image_u8 in images_u8]
        return self.of_pictures(pictures, shapes)

    @torch.inference_mode()
    def of_pictures(self, pictures_u8: np.ndarray, shapes: Sequence[tuple[int, int]]) -> list[list[Detection]]:
        """The hands of pictures (N, P, P, 3) that were shrunk from images of these heights and widths."""
        result = []
        for start in range(0, len(pictures_u8), BATCH):
            maps = self.network(as_input(pictures_u8[start : start + BATCH]))
            result += [
                peaks(of_picture, shape, self.settings)
                for of_picture, shape in zip(maps, shapes[start : start + BATCH], strict=True)
            ]
        return result


def peaks(maps: torch.Tensor, image_hw: tuple[int, int], settings: DetectorSettings) -> list[Detection]:
    """The hands that the maps (5, C, C) of one picture show, in the pixels of its image."""
    score = torch.sigmoid(maps[HEAT])
    either = score.amax(dim=0)
    highest = F.max_pool2d(either[None], 3, stride=1, padding=1)[0]
    at_peak = torch.where((either == highest) & (either >= settings.certain), either, 0.0).flatten()
    order = at_peak.argsort(descending=True, stable=True)[:MOST_HANDS]
    zoom_and_shift, cells = to_picture(image_hw, settings.picture_px), maps.shape[-1]
    hands: list[Detection] = []
    for cell in (int(number) for number in order if at_peak[number] > 0):
        v, u = divmod(cell, cells)
        at_uv = np.array([u, v]) + maps[OFFSET, v, u].numpy()
        centre_px = ((at_uv + 0.5) * STRIDE - 0.5 - zoom_and_shift[:2, 2]) / zoom_and_shift[0, 0]
        side_px = float(maps[SIZE, v, u].exp()) * settings.picture_px / zoom_and_shift[0, 0]
        near = (np.hypot(*(centre_px - hand.centre_px)) < ONE_HAND * max(side_px, hand.side_px) for hand in hands)
        if any(near):
            continue
        of_sides = score[:, v, u]
        hand_side = int(of_sides.argmax())
        share = float(of_sides[hand_side] / of_sides.sum())
        hands.append(Detection(tuple(map(float, centre_px)), side_px, hand_side, share, float(either[v, u])))
    return hands
