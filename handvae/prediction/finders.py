"""Boxes by the detector: where it lies, and its hands as boxes for the pose model."""

from collections.abc import Sequence
from pathlib import Path

from handvae.base.errors import InputError
from handvae.detection.detect import Detection, Detector
from handvae.prediction import models
from handvae.prediction.boxes import HandBox
from handvae.prediction.hands import Find
from handvae.prediction.pictures import Frame

NAME = f"{models.DETECTOR}{models.SUFFIX}"


def detector_path(given: Path | None) -> Path:
    """The file that is given, else the detector that was trained here, else the repository's."""
    if given is not None:
        return given
    for path in (models.TRAINED / NAME, models.SHIPPED / NAME):
        if path.is_file():
            return path
    raise InputError(
        f"{models.SHIPPED / NAME}: expected the detector, found none; give --box or --whole-image, or train one: "
        "`dvc repro train_detector`"
    )


def from_detector(detector: Detector, side: int | None) -> Find:
    """The boxes of frames by the detector. `side`: of every hand, None: as the detector says.

    Of a hand whose side it does not know the box has none, so that a model that must know it asks.
    """

    def find(frames: Sequence[Frame]) -> list[list[HandBox]]:
        detected = detector.detect([frame.image_u8 for frame in frames])
        return [[to_box(hand, said(hand) if side is None else side) for hand in of_frame] for of_frame in detected]

    def said(hand: Detection) -> int | None:
        return hand.hand_side if hand.side_share >= detector.thresholds.sure_of_side else None

    return find


def to_box(hand: Detection, side: int | None) -> HandBox:
    """The box of a detection, and the side that its hand is taken to have."""
    left_px, top_px = (middle_px - hand.side_px / 2 for middle_px in hand.centre_px)
    return HandBox(left_px, top_px, hand.side_px, side, hand.confidence, "the detector")
