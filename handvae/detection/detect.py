"""Hands in whole pictures: squares, sides and how sure the detector is."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open

from handvae.base import atomic, geometry
from handvae.base.checked import convert
from handvae.base.errors import InputError
from handvae.base.joints import LEFT, RIGHT
from handvae.detection.frames import shrunk, to_picture
from handvae.detection.network import CROP_PX, HEAT, OFFSET, SIZE, STRIDE, DetectorNetwork
from handvae.detection.settings import DetectorSettings
from handvae.detection.training import as_input
from handvae.model import half_precision
from handvae.preprocessing.preprocess import resample

BATCH = 64
MOST_HANDS = 8  # of a picture
ONE_HAND = 0.5  # peaks closer than this share of the larger square are one hand's


@dataclass(frozen=True)
class Peak:
    """Where a hand is in an image, in its pixels."""

    centre_px: tuple[float, float]
    side_px: float
    confidence: float  # 0 to 1


@dataclass(frozen=True)
class Detection(Peak):
    """A hand in an image."""

    hand_side: int  # joints.LEFT or RIGHT
    side_share: float  # the probability of that side: 1 is sure, 0.5 is a guess


@dataclass(frozen=True)
class Thresholds:
    """Set on the validation part, see handvae.detection.thresholds."""

    certain: float  # a hand's score from which on it counts as seen
    sure_of_side: float  # the probability of a side from which on it is said


@dataclass(frozen=True)
class Detector:
    """The network in evaluation mode."""

    network: DetectorNetwork
    settings: DetectorSettings
    thresholds: Thresholds
    data: str = ""  # what it was trained on

    def save(self, path: Path) -> None:
        """One file: weights in half precision, the settings, the thresholds, and what it was trained on."""
        facts = {
            key: json.dumps(asdict(of)) for key, of in (("detector", self.settings), ("thresholds", self.thresholds))
        }
        atomic.write_bytes(path, half_precision.file_bytes(self.network.state_dict(), facts | {"data": self.data}))

    @classmethod
    def load(cls, path: Path) -> "Detector":
        """InputError for a file that `save` did not write."""
        try:
            with safe_open(path, framework="pt") as file:
                metadata, names = file.metadata() or {}, file.keys()
                weights = {name: file.get_tensor(name) for name in names}
            settings = convert(json.loads(metadata["detector"]), DetectorSettings)
            thresholds = convert(json.loads(metadata["thresholds"]), Thresholds)
            network = DetectorNetwork(settings.width)
            network.load_state_dict(weights)
        except (OSError, SafetensorError, ValueError, KeyError, RuntimeError, InputError) as error:
            text = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: expected a detector, `dvc repro train_detector` makes one: {text}") from error
        return cls(network.eval(), settings, thresholds, metadata["data"])

    def detect(self, images_u8: Sequence[np.ndarray]) -> list[list[Detection]]:
        """The hands of each image (H, W, 3), the surest first."""
        parts = (images_u8[start : start + BATCH] for start in range(0, len(images_u8), BATCH))
        return [hands for part in parts for hands in self._of(part)]

    @torch.inference_mode()
    def _of(self, images_u8: Sequence[np.ndarray]) -> list[list[Detection]]:
        maps = self.network(as_input(np.stack([shrunk(image_u8, self.settings.picture_px) for image_u8 in images_u8])))
        peaks_of = [
            peaks(of_image, image_u8.shape[:2], self.settings.picture_px, self.thresholds.certain)
            for of_image, image_u8 in zip(maps, images_u8, strict=True)
        ]
        crops = [
            crop(image_u8, peak) for image_u8, of_image in zip(images_u8, peaks_of, strict=True) for peak in of_image
        ]
        if not crops:
            return [[] for _ in images_u8]
        right = iter(torch.sigmoid(self.network.right_hand(as_input(np.stack(crops)))).tolist())
        return [[_with_side(peak, next(right)) for peak in of_image] for of_image in peaks_of]


def crop(image_u8: np.ndarray, peak: Peak) -> np.ndarray:
    """The square of a hand (64, 64, 3) in its image."""
    middle_px = np.array(peak.centre_px)
    square = geometry.Crop(middle_px, peak.side_px, peak.side_px, middle_px - peak.side_px / 2)
    return resample(image_u8, geometry.context_transform(square, CROP_PX, CROP_PX), CROP_PX)


def _with_side(peak: Peak, right: float) -> Detection:
    side, share = (RIGHT, right) if right >= 0.5 else (LEFT, 1 - right)
    return Detection(**vars(peak), hand_side=side, side_share=share)


def peaks(maps: torch.Tensor, image_hw: tuple[int, int], picture_px: int, certain: float) -> list[Peak]:
    """Where hands are by the maps (4, C, C) of one picture, in the pixels of its image; the surest first."""
    score = torch.sigmoid(maps[HEAT])
    highest = F.max_pool2d(score[None], 3, stride=1, padding=1)[0]
    at_peak = torch.where((score == highest) & (score >= certain), score, 0.0).flatten()
    order = at_peak.argsort(descending=True, stable=True)[:MOST_HANDS]
    zoom_and_shift, cells = to_picture(image_hw, picture_px), maps.shape[-1]
    hands: list[Peak] = []
    for cell in (int(number) for number in order if at_peak[number] > 0):
        v, u = divmod(cell, cells)
        at_uv = np.array([u, v]) + maps[OFFSET, v, u].numpy()
        centre_px = ((at_uv + 0.5) * STRIDE - 0.5 - zoom_and_shift[:2, 2]) / zoom_and_shift[0, 0]
        side_px = float(maps[SIZE, v, u].exp()) * picture_px / zoom_and_shift[0, 0]
        near = (np.hypot(*(centre_px - hand.centre_px)) < ONE_HAND * max(side_px, hand.side_px) for hand in hands)
        if not any(near):
            hands.append(Peak(tuple(map(float, centre_px)), side_px, float(score[v, u])))
    return hands
