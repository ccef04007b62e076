"""From which score on a hand counts as seen, and from which probability on its side is said.

Both are set by what the networks say of frames that they were not trained on, and that are no test frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handvae.detection.detect import Detection, Thresholds
from handvae.detection.scores import Counts, matches

OPEN = Thresholds(certain=0.05, sure_of_side=0.5)  # what the detector says before they are set
SCORES = np.linspace(0.05, 0.95, 19)
PROBABILITIES = np.linspace(0.5, 0.99, 50)


@dataclass(frozen=True)
class Frame:
    """A frame's true squares (3,) with their sides, and all detections that are not hopeless."""

    squares_px: Sequence[np.ndarray]
    sides: Sequence[int]
    detections: Sequence[Detection]

    def above(self, certain: float) -> list[Detection]:
        return [hand for hand in self.detections if hand.confidence >= certain]


def choose(frames: Sequence[Frame], sides_right: float) -> Thresholds:
    """The score at which recall and precision have the largest harmonic mean, the lowest of several.

    And the lowest probability from which on the share `sides_right` of the sides is right; 1 where there is none.
    """
    certain = float(max(SCORES, key=lambda score: harmonic_mean(frames, score)))
    shares, is_right = sides_of(frames, certain)
    sure = [
        float(probability)
        for probability in PROBABILITIES
        if (said := shares >= probability).any() and is_right[said].mean() >= sides_right
    ]
    return Thresholds(round(certain, 2), round(min(sure, default=1.0), 2))


def harmonic_mean(frames: Sequence[Frame], certain: float) -> float:
    """Of recall and precision (F1) of the hands, if those of a score from `certain` on count."""
    counts = Counts()
    for frame in frames:
        counts.add(frame.squares_px, frame.sides, frame.above(certain))
    return 2 * counts.seen / max(1, counts.hands + counts.detections)


def sides_of(frames: Sequence[Frame], certain: float) -> tuple[np.ndarray, np.ndarray]:
    """Of the hands that are seen (H,): the probability of the side that is said, and whether it is right."""
    seen = [
        (hand.side_share, hand.hand_side == side)
        for frame in frames
        for side, hand in zip(frame.sides, matches(frame.squares_px, frame.above(certain)), strict=True)
        if hand is not None
    ]
    return np.array([share for share, _ in seen]), np.array([is_right for _, is_right in seen], bool)
