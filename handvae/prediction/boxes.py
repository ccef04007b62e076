"""Squares around hands in a picture: given by hand, by a detector of ours, or by a file of another program's."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.base import geometry
from handvae.base.errors import InputError
from handvae.datasets.rhd_annotations import SIDE_NAMES
from handvae.prediction.pictures import Frame

LARGEST_BOX = 4  # times the picture's longer side: a hand that fills less of it cannot be seen
SIDE_NUMBERS = {None: None} | {name: number for number, name in SIDE_NAMES.items()}


@dataclass(frozen=True)
class HandBox:
    """A square of the picture, and what is known of the hand in it. Pixel centres are at integer coordinates."""

    left_px: float
    top_px: float
    side_px: float
    hand_side: int | None = None  # joints.LEFT or RIGHT; None: not known
    confidence: float | None = None  # a detector's, 0 to 1
    source: str = ""  # who says so, for the output

    @property
    def corners_px(self) -> tuple[float, float, float, float]:
        return self.left_px, self.top_px, self.left_px + self.side_px, self.top_px + self.side_px

    def to_crop(self, crop_px: int, context_px: int | None = None) -> np.ndarray:
        """The (3, 3) map from the picture's pixels to those of the network's crop, or of the context crop around it, as
        the reference cuts it."""
        middle_px = np.array([self.left_px, self.top_px]) + self.side_px / 2
        crop = geometry.Crop(middle_px, self.side_px, self.side_px, np.array([self.left_px, self.top_px]))
        return geometry.context_transform(crop, crop_px, context_px or crop_px)


def square(corners_px: tuple[float, float, float, float], image_hw: tuple[int, int], where: str, **known) -> HandBox:
    """The square on the longer side of a box x0, y0, x1, y1, about its middle. `known`: the fields of HandBox.

    InputError that starts with `where` for a box without extent, outside of the picture or far larger than it.
    """
    x0, y0, x1, y1 = corners_px
    height, width = image_hw
    text = ",".join(f"{value:g}" for value in corners_px)
    if not (np.isfinite(corners_px).all() and x1 > x0 and y1 > y0):
        raise InputError(f"{where}: expected a box x0,y0,x1,y1 with x0 < x1 and y0 < y1, found {text}")
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        raise InputError(f"{where}: the box {text} lies outside of the picture, {width}x{height} px")
    side_px = max(x1 - x0, y1 - y0)
    if side_px > LARGEST_BOX * max(image_hw):
        raise InputError(f"{where}: expected a box of at most {LARGEST_BOX} times the picture's side, found {text}")
    # written so that the corners of a square come back to the last bit
    left_px = x0 if side_px == x1 - x0 else (x0 + x1 - side_px) / 2
    top_px = y0 if side_px == y1 - y0 else (y0 + y1 - side_px) / 2
    return HandBox(left_px, top_px, side_px, **known)


def corners(text: str) -> tuple[float, float, float, float]:
    """x0,y0,x1,y1 as typed. ValueError for anything else."""
    x0, y0, x1, y1 = map(float, text.split(","))
    return x0, y0, x1, y1


@dataclass(frozen=True)
class BoxFile:
    """Boxes that another detector has written, by the name of the picture or video and the number of the frame.

    A JSON list of {"file": "a.jpg", "frame": 0, "box": [x0, y0, x1, y1], "side": "left", "confidence": 0.9}. The last
    two and `frame`, of a picture, may be missing; other keys are not looked at.
    """

    path: Path
    entries: dict[tuple[str, int], list[dict]]

    @classmethod
    def read(cls, path: Path) -> "BoxFile":
        """InputError that names the entry which is not of that form."""
        entries: dict[tuple[str, int], list[dict]] = {}
        try:
            listed = json.loads(path.read_text())
            if not isinstance(listed, list):
                raise ValueError("no list")
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: expected a JSON list of boxes: {error}") from error
        for number, entry in enumerate(listed):
            try:
                key = str(entry["file"]), int(entry.get("frame", 0))
                x0, y0, x1, y1 = map(float, entry["box"])
                side, confidence = SIDE_NUMBERS[entry.get("side")], entry.get("confidence")
                known = {"hand_side": side, "confidence": None if confidence is None else float(confidence)}
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise InputError(
                    f"{path}: entry {number}: expected file, box [x0, y0, x1, y1] and, if known, frame, side (left or "
                    f"right) and confidence, found {str(entry)[:80]} ({error!r})"
                ) from error
            entries.setdefault(key, []).append({"corners_px": (x0, y0, x1, y1), **known})
        return cls(path, entries)

    def of(self, frame: Frame) -> list[HandBox]:
        """The boxes of one frame; none if the file names none."""
        name = Path(frame.name).name
        known = {"image_hw": frame.image_u8.shape[:2], "where": f"{self.path}: {name}", "source": self.path.name}
        return [square(**box, **known) for box in self.entries.get((name, frame.number), [])]
