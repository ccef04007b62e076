"""ICVL's label files: lines `session/image_0000.png` and 16 x (u, v, z) in px, px, mm, read and checked.

Lines of copies turned in the image plane name `angle/session/image_0000.png`. The known flaws of the published training
labels are left out.
"""

import re
from array import array
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.base import geometry
from handvae.base.errors import InputError
from handvae.datasets import doubts, text
from handvae.datasets.doubts import Doubt

TEST_SEQUENCES = ("test_seq_1", "test_seq_2")
PALM = 0
# Those of the public evaluation. The authors' focal length is 241.42; the choice moves a mean error by 0.01 mm.
CAMERA = np.array([[240.99, 0.0, 160.0], [0.0, 240.96, 120.0], [0.0, 0.0, 1.0]])

# Flaws of the published training labels
_WITHOUT_IMAGE = {"201406030937/image_-001.png"}
_ROTATED_WITHOUT_IMAGE = {
    *(("201405151126", 11993), ("201406030937", 2056), ("201406031456", 4454), ("201406031456", 5254)),
    *(("201406031747", 1424), ("201406191044", 396)),
}
_LISTED_TWICE = {"201403121140/image_1107.png", "201403121140/image_1305.png"}  # and so their copies

_MAX_LINES = 700_000  # real files have 331,006, and there may be a blank line after each
# The angles' folder names are not documented ("45", "122-5"): whatever comes before the session is one.
_TRAINING_PATH = re.compile(r"((?!\d{12}/)[\w+-][\w.+-]{0,15}/)?\d{12}/image_-?\d{3,5}\.png")


@dataclass(frozen=True)
class Frame:
    """One label line: the image `path`, relative to `images`, and its joints."""

    images: Path
    path: str
    uvd: np.ndarray  # (16, 3) px, px, mm
    doubt: Doubt | None


@dataclass(frozen=True)
class LabelFile:
    path: Path
    frames: list[Frame]  # of the lines that can be used
    lines: int
    rotated: int  # lines of copies turned in the image plane
    flaws: dict[str, list[str]]  # images of lines that are left out, by what is known to be wrong with them


def read(file: Path, images: Path, rotated_copies: bool) -> LabelFile:
    """The frames of one label file. InputError for the first line that is none."""
    example, pattern = "session/image_0000.png or angle/session/image_0000.png", _TRAINING_PATH
    if file.stem in TEST_SEQUENCES:
        example, pattern = f"{file.stem}/image_0000.png", re.compile(rf"{file.stem}/image_\d{{4,5}}\.png")
    wheres, paths, numbers = [], [], array("d")
    lines, rotated, without_image = 0, 0, []
    for where, tokens in text.records(file, _MAX_LINES):
        path = tokens[0].decode("ascii", errors="replace")
        if not pattern.fullmatch(path):
            raise InputError(f"{where}: expected a path like {example}, found {text.shown(path)}")
        if len(tokens) != 49:
            raise InputError(f"{where}: expected 48 numbers after the path, found {len(tokens) - 1}")
        lines += 1
        rotated += _is_rotated(path)
        if _known_to_lack_its_image(path) and not (images / path).is_file():
            without_image.append(path)
        elif rotated_copies or not _is_rotated(path):
            wheres.append(where)
            paths.append(path)
            numbers.extend(text.joints(where, tokens[1:]))
    if not paths:
        raise InputError(f"{file}: expected one line a frame, found none")
    uvd = np.frombuffer(numbers).reshape(-1, 16, 3)
    with np.errstate(all="ignore"):  # of damaged numbers, which are then doubtful
        joints_mm = geometry.back_project(uvd, CAMERA)
        testable = doubts.testable(joints_mm, uvd[..., :2], PALM)
    doubtful = doubts.hand_doubts(wheres.__getitem__, joints_mm, PALM, testable)
    frames = [Frame(images, *label) for label in zip(paths, uvd, doubtful, strict=True)]
    frames, again = _without_second_lines(file, frames)
    return LabelFile(file, frames, lines, rotated, {"have no image": without_image, "name an image again": again})


def _without_second_lines(file: Path, frames: list[Frame]) -> tuple[list[Frame], list[str]]:
    """The frames without the second line for one image, a known flaw, and the images of those lines.

    InputError for any other image that is named again.
    """
    first: dict[str, Frame] = {}
    again = [frame.path for frame in frames if first.setdefault(frame.path, frame) is not frame]
    for path, count in Counter(again).items():
        if count > 1 or original(path) not in _LISTED_TWICE:
            raise InputError(f"{file}: expected every image once, found {path} {count + 1} times")
    return list(first.values()), again


def _known_to_lack_its_image(path: str) -> bool:
    if _is_rotated(path):
        return (path.split("/")[1], number(path)) in _ROTATED_WITHOUT_IMAGE
    return path in _WITHOUT_IMAGE


def _is_rotated(path: str) -> bool:
    return path.count("/") == 2  # angle/session/image_0000.png


def number(path: str) -> int:
    return int(path.rpartition("/image_")[2].removesuffix(".png"))


def original(path: str) -> str:
    """The path of the original of a turned copy, or of an original itself."""
    return "/".join(path.split("/")[-2:])
