"""MSRA15 (Sun et al., CVPR 2015): depth of the right hands of nine subjects in 17 gestures, 21 joints.

`P0` to `P8` hold a folder a gesture with joint.txt (the number of frames, then 21 x (x, y, z) a line, in mm with y up
and z negative, wrist first, then index to little finger and thumb, base to tip) and 000000_depth.bin: six 32-bit
integers (image width and height; left, top, right, bottom of a box), then the box's depth as float32 in mm.
"""

import hashlib
import re
import struct
from array import array
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from handvae.base.atomic import write_bytes
from handvae.base.errors import InputError
from handvae.base.geometry import project
from handvae.base.joints import MIDDLE_MCP, RIGHT, SKELETON_OF, SKELETONS
from handvae.datasets import doubts, labels, plain_file, text
from handvae.datasets.doubts import Doubt
from handvae.datasets.sample import DepthSample

SKELETON = SKELETONS[SKELETON_OF["msra"]]
SUBJECTS = tuple(f"P{number}" for number in range(9))
GESTURES = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "I", "IP", "L", "MP", "RP", "T", "TIP", "Y")
PUBLISHED_FRAMES = (76_375, 76_391)  # two versions are about
PUBLISHED_TEST = 0  # there is no test split, see `frames`
IMAGE_HW = (240, 320)
CAMERA = np.array([[241.42, 0.0, 160.0], [0.0, 241.42, 120.0], [0.0, 0.0, 1.0]])
CUBE_MM = dict(
    zip(SUBJECTS, (200.0, 200.0, 200.0, 180.0, 180.0, 180.0, 170.0, 160.0, 150.0), strict=True)
)  # DeepPrior++

# HAND21[i] is row TO_HAND21[i] of MSRA's order, which has the thumb last. Not its own inverse.
TO_HAND21 = (0, 17, 18, 19, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)

# Frames of the published set without a hand or with a wrong label: those that CVPR2016_HandPoseEstimation marks, and
# two more (P3/T) that DeepPrior++ lists. They are not trained on; the public evaluation counts them.
_BAD = """
P1/5 434; P1/6 74 75 77 79-83 88 89; P1/7 0; P1/8 172 173 300 312; P1/T 407-410 453-455; P1/TIP 177; P2/8 477;
P2/MP 173-175 345-354 356 359 360; P2/RP 162 436-440; P2/TIP 127 172-174;
P3/3 134-138 140 262-264 267 268 289 290 467-472;
P3/4 329 442 443 445-452; P3/5 164 298 379; P3/6 337; P3/L 447; P3/MP 215; P3/T 120 489; P4/4 378; P4/RP 32;
P4/T 4-6 9 45 46 89-91; P4/TIP 91-95 167; P5/2 14 23 36 40; P5/4 188; P6/7 186 188; P6/8 422 423; P6/I 90; P6/TIP 466;
P7/2 284 338 352; P7/4 345; P7/6 39 43; P7/T 258; P8/4 151 168 309; P8/T 258
"""
_MAX_LINES = 10_000  # of joint.txt
_COUNT = re.compile(rb"\d{1,6}")  # the first line of joint.txt
_HEADER = struct.Struct("<6I")
_MAX_DEPTH_MM = 10_000.0


@dataclass(frozen=True)
class Frame:
    subject: str
    gesture: str
    number: int
    image: Path
    joints_mm: np.ndarray  # (21, 3) camera frame, y down, HAND21 order with the wrist as root
    trainable: bool  # False: known to have a wrong label or no hand
    doubt: Doubt | None


def find(folder: Path) -> Path:
    """The root of the set: `folder` or the folder in it with P0/1/joint.txt and so on."""

    def is_root(root: Path) -> bool:
        return any((root / subject / "1/joint.txt").is_file() for subject in SUBJECTS)

    return labels.one_root(folder, is_root, "MSRA's P0/1/joint.txt")


def frames(root: Path) -> dict[str, list[Frame]]:
    """The frames of every subject, P0 to P8, gesture by gesture: the order of the public evaluation's pooled list.

    There is no training split: the protocol trains nine models, each tested on the subject that it has not seen.
    """
    if missing := [subject for subject in SUBJECTS if not (root / subject).is_dir()]:
        raise InputError(f"{root}: expected a folder for each of P0 to P8, found none for {', '.join(missing)}")
    found = {subject: [f for gesture in GESTURES for f in _frames_of(root, subject, gesture)] for subject in SUBJECTS}
    bad = bad_frames() if _published(found) else frozenset()
    return {
        subject: [replace(frame, trainable=(subject, frame.gesture, frame.number) not in bad) for frame in of_subject]
        for subject, of_subject in found.items()
    }


def read(frame: Frame) -> list[DepthSample]:
    """The hand of one frame. InputError for a missing, damaged or unsuitable image."""
    return [
        DepthSample(
            name=f"{frame.subject}/{frame.gesture}/{frame.number:06d}",
            depth_mm=read_depth_mm(frame.image),
            joints_mm=frame.joints_mm,
            uv_px=project(frame.joints_mm, CAMERA),
            camera=CAMERA,
            side=RIGHT,
            subject=frame.subject,
            sequence=f"{frame.subject}/{frame.gesture}",
            frame=frame.number,
            moment=f"{frame.subject}/{frame.gesture}/{frame.number:06d}",
            cube_mm=CUBE_MM[frame.subject],
            centre_joint=MIDDLE_MCP,
            trainable=frame.trainable and frame.doubt is None,
        )
    ]


def read_depth_mm(path: Path) -> np.ndarray:
    """(240, 320) float32 mm; 0 outside the box and on the background in it. A box may be empty: no hand was seen."""
    height, width = IMAGE_HW
    data = plain_file.read(path, _HEADER.size + 4 * height * width, "a depth image")
    if len(data) < _HEADER.size:
        raise InputError(f"{path}: expected a header of {_HEADER.size} bytes, found {len(data)}")
    image_width, image_height, left, top, right, bottom = _HEADER.unpack_from(data)
    if (image_width, image_height) != (width, height):
        raise InputError(f"{path}: expected an image of {width}x{height} px, found {image_width}x{image_height}")
    if not (left <= right <= width and top <= bottom <= height):
        raise InputError(f"{path}: expected a box in the image, found {left}..{right} x {top}..{bottom} px")
    expected = _HEADER.size + 4 * (right - left) * (bottom - top)
    if len(data) != expected:
        raise InputError(f"{path}: expected {expected:,} bytes for its box, found {len(data):,}")
    box_mm = np.frombuffer(data, "<f4", offset=_HEADER.size).reshape(bottom - top, right - left)
    if box_mm.size and not (box_mm.min() >= 0 and box_mm.max() <= _MAX_DEPTH_MM):  # so written, NaN fails too
        raise InputError(
            f"{path}: expected depth from 0 to {_MAX_DEPTH_MM:.0f} mm, found {box_mm.min()} to {box_mm.max()}"
        )
    depth_mm = np.zeros(IMAGE_HW, np.float32)
    depth_mm[top:bottom, left:right] = box_mm
    return depth_mm


def inspect(root: Path) -> dict:
    """Layout, counts and flaws: {"published", "splits": {subject: facts}, "notes": which frames are not trained on}."""
    found = frames(root)
    splits = {}
    for subject, of_subject in found.items():
        digest = hashlib.sha256(b"".join(frame.joints_mm.tobytes() for frame in of_subject))
        splits[subject] = {
            "frames": len(of_subject),
            "image_bytes": labels.total_bytes(frame.image for frame in of_subject),
            "labels_sha256": digest.hexdigest(),
        }
    bad = [
        f"{f.subject}/{f.gesture}/{f.number}" for of_subject in found.values() for f in of_subject if not f.trainable
    ]
    unlabelled = _unlabelled(root, found)
    reasons = (
        (bad, "frames are tested on but not trained on, a wrong label or no hand being known"),
        (unlabelled, "pictures have no line in joint.txt and are left out"),
    )
    notes = [f"{len(names):,} {reason}: {labels.some(names)}" for names, reason in reasons if names]
    notes += doubts.notes(frame.doubt for of_subject in found.values() for frame in of_subject)
    return {"published": _published(found), "splits": splits, "notes": notes}


def frames_with_images(root: Path) -> list[Frame]:
    """Every frame whose label can be a hand's, for a look at the set."""
    return [frame for group in frames(root).values() for frame in group if frame.doubt is None]


def labelled_hands(root: Path) -> labels.Hands:
    """The labels of all subjects."""
    found = frames_with_images(root)
    joints_mm = np.array([frame.joints_mm for frame in found]).reshape(-1, 21, 3)
    cameras, sides = np.broadcast_to(CAMERA, (len(found), 3, 3)), np.full(len(found), RIGHT)
    subjects = np.array([frame.subject for frame in found])
    return labels.Hands(SKELETON, joints_mm, project(joints_mm, CAMERA), cameras, sides, subjects, False)


def bad_frames() -> frozenset[tuple[str, str, int]]:
    """(subject, gesture, number) of the published set's frames that are not trained on."""
    bad = set()
    for entry in _BAD.split(";"):
        place, *spans = entry.split()
        for first, _, last in (span.partition("-") for span in spans):
            bad |= {(*place.split("/"), number) for number in range(int(first), int(last or first) + 1)}
    return frozenset(bad)


def image_path(root: Path, subject: str, gesture: str, number: int) -> Path:
    return root / subject / gesture / f"{number:06d}_depth.bin"


def write_image(path: Path, depth_mm: np.ndarray) -> None:
    """Write the box around what was measured of (240, 320) mm; 0 is nothing."""
    rows, columns = np.flatnonzero(depth_mm.any(axis=1)), np.flatnonzero(depth_mm.any(axis=0))
    top, bottom = (rows[0], rows[-1] + 1) if len(rows) else (0, 0)
    left, right = (columns[0], columns[-1] + 1) if len(columns) else (0, 0)
    header = _HEADER.pack(depth_mm.shape[1], depth_mm.shape[0], left, top, right, bottom)
    write_bytes(path, header + np.ascontiguousarray(depth_mm[top:bottom, left:right], "<f4").tobytes())


def write_labels(root: Path, subject: str, gesture: str, joints_mm: np.ndarray) -> None:
    """Write joint.txt from joints (N, 21, 3), y down, HAND21 order with the wrist as root."""
    raw_mm = np.empty_like(joints_mm)
    raw_mm[:, list(TO_HAND21)] = joints_mm * [1.0, -1.0, -1.0]
    lines = [str(len(raw_mm)), *(" ".join(f"{value:.6f}" for value in one.ravel()) for one in raw_mm)]
    write_bytes(root / subject / gesture / "joint.txt", "".join(f"{line}\r\n" for line in lines).encode())


def _published(found: dict[str, list]) -> bool:
    return sum(map(len, found.values())) in PUBLISHED_FRAMES


def _unlabelled(root: Path, found: dict[str, list[Frame]]) -> list[str]:
    """Depth pictures beyond the labels: the two published versions differ by some."""
    labelled = {f"{frame.subject}/{frame.gesture}/{frame.image.name}" for group in found.values() for frame in group}
    names = []
    for place in (f"{subject}/{gesture}" for subject in SUBJECTS for gesture in GESTURES):
        pictures = [f"{place}/{name}" for name in labels.names_in(root / place) if name.endswith("_depth.bin")]
        names += [picture for picture in pictures if picture not in labelled]
    return names


def _frames_of(root: Path, subject: str, gesture: str) -> list[Frame]:
    joints_mm, doubtful = _read_labels(root / subject / gesture / "joint.txt")
    return [
        Frame(
            subject,
            gesture,
            number,
            image_path(root, subject, gesture, number),
            joints_mm[number],
            trainable=True,
            doubt=doubtful[number],
        )
        for number in range(len(joints_mm))
    ]


def _read_labels(file: Path) -> tuple[np.ndarray, list[Doubt | None]]:
    """(N, 21, 3) camera frame, y down, HAND21 order, and what is wrong with each hand."""
    lines = text.records(file, _MAX_LINES)
    where, first = next(lines, (f"{file}", []))
    if len(first) != 1 or not _COUNT.fullmatch(first[0]):
        raise InputError(f"{where}: expected the number of frames, found {text.shown(b' '.join(first))}")
    wheres, values = [], array("d")
    for where, tokens in lines:
        if len(tokens) != 63:
            raise InputError(f"{where}: expected 63 numbers, found {len(tokens)}")
        wheres.append(where)
        values.extend(text.joints(where, tokens))
    if len(wheres) != int(first[0]) or not wheres:
        raise InputError(
            f"{file}: expected {int(first[0])} frames as its first line says, and some, found {len(wheres)}"
        )
    # y and z both turn: with z alone, as some readers do, the right hand would become a left one
    joints_mm = np.frombuffer(values).reshape(-1, 21, 3)[:, list(TO_HAND21)] * [1.0, -1.0, -1.0]
    with np.errstate(all="ignore"):  # of damaged numbers, which are then doubtful
        testable = doubts.testable(joints_mm, project(joints_mm, CAMERA), MIDDLE_MCP)
    checks, hint = doubts.hand_checks(joints_mm, MIDDLE_MCP), doubts.unit_hint(joints_mm, MIDDLE_MCP, "millimetres")
    return joints_mm, doubts.find(wheres.__getitem__, checks, testable, hint)
