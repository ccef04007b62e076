"""How good detections are: squares that overlap by half count as the same, as in PASCAL VOC."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handvae.detection.detect import Detection

SAME = 0.5  # intersection over union


def overlap(first_px: np.ndarray, second_px: np.ndarray) -> float:
    """Intersection over union of two squares (3,): u, v of the middle and the side."""
    reach = np.minimum(first_px[:2] + first_px[2] / 2, second_px[:2] + second_px[2] / 2)
    start = np.maximum(first_px[:2] - first_px[2] / 2, second_px[:2] - second_px[2] / 2)
    common = float(np.prod(np.maximum(reach - start, 0.0)))
    return common / (float(first_px[2]) ** 2 + float(second_px[2]) ** 2 - common)


def matches(squares_px: Sequence[np.ndarray], detections: Sequence[Detection]) -> list[Detection | None]:
    """For each true square (3,) the detection that is it, None if it was missed.

    Detections choose in their order, the surest first, the square they overlap most; none is chosen twice.
    """
    result: list[Detection | None] = [None] * len(squares_px)
    for detection in detections:
        square_px = np.array([*detection.centre_px, detection.side_px])
        overlaps = {i: overlap(squares_px[i], square_px) for i, chosen in enumerate(result) if chosen is None}
        if overlaps and max(overlaps.values()) >= SAME:
            result[max(overlaps, key=overlaps.get)] = detection
    return result


@dataclass
class Counts:
    """Over the frames of a split."""

    frames: int = 0
    hands: int = 0
    seen: int = 0
    detections: int = 0
    right_side: int = 0

    def add(self, squares_px: Sequence[np.ndarray], sides: Sequence[int], detections: Sequence[Detection]) -> None:
        """A frame: its true squares and sides, and what was detected."""
        hands = matches(squares_px, detections)
        self.frames += 1
        self.hands += len(squares_px)
        self.detections += len(detections)
        self.seen += sum(hand is not None for hand in hands)
        self.right_side += sum(hand.hand_side == side for side, hand in zip(sides, hands, strict=True) if hand)

    def row(self) -> dict[str, float]:
        """Recall and precision of hands, and among those seen the share whose side is right, in percent."""
        return {
            "frames": self.frames,
            "hands": self.hands,
            "recall_percent": _percent(self.seen, self.hands),
            "precision_percent": _percent(self.seen, self.detections),
            "side_accuracy_percent": _percent(self.right_side, self.seen),
        }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else float("nan")
