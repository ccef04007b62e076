"""MSRA15 (Sun et al., CVPR 2015): depth of the right hands of nine subjects in 17 gestures, 21 joints.

`P0` to `P8` hold a folder a gesture with joint.txt (the number of frames, then 21 x (x, y, z) a line, in mm with y up
and z negative, wrist first, then index to little finger and thumb, base to tip) and 000000_depth.bin: six 32-bit
integers (image width and height; left, top, right, bottom of a box), then the box's depth as float32 in mm.
"""

import re
import struct
from array import array
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from handvae.base.atomic import write_bytes
from handvae.base.dataset_params import MSRA_SUBJECTS as SUBJECTS
from handvae.base.errors import InputError
from handvae.base.geometry import project
from handvae.base.joints import MIDDLE_MCP, RIGHT, SKELETON_OF, SKELETONS
from handvae.datasets import doubts, labels, plain_file, text
from handvae.datasets.doubts import Doubt
from handvae.datasets.sample import DepthSample

SKELETON = SKELETONS[SKELETON_OF["msra"]]
GESTURES = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "I", "IP", "L", "MP", "RP", "T", "TIP", "Y")
PUBLISHED_FRAMES = (76_375, 76_391)  # two versions are about
PUBLISHED_TEST = 0  # there is no test split, see `frames`
IMAGE_HW = (240, 320)
CAMERA = np.array([[241.42, 0.0, 160.0], [0.0, 241.42, 120.0], [0.0, 0.0, 1.0]])
_CUBES_MM = (200.0, 200.0, 200.0, 180.0, 180.0, 180.0, 170.0, 160.0, 150.0)  # DeepPrior++
CUBE_MM = dict(zip(SUBJECTS, _CUBES_MM, strict=True))

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
    by_subject = {s: [frame for gesture in GESTURES for frame in _frames_of(root, s, gesture)] for s in SUBJECTS}
    bad = bad_frames() if _published(by_subject) else frozenset()
    return {
        subject: [replace(frame, trainable=(subject, frame.gesture, frame.number) not in bad) for frame in of_subject]
        for subject, of_subject in by_subject.items()
    }


def read(frame: Frame) -> list[DepthSample]:
    """The hand of one frame. InputError for a missing, damaged or unsuitable image."""
    name = f"{frame.subject}/{frame.gesture}/{frame.number:06d}"
    return [
        DepthSample(
            name=name,
            depth_mm=read_depth_mm(frame.image),
            joints_mm=frame.joints_mm,
            uv_px=project(frame.joints_mm, CAMERA),
            camera=CAMERA,
            side=RIGHT,
            subject=frame.subject,
            sequence=f"{frame.subject}/{frame.gesture}",
            frame=frame.number,
            moment=name,
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
    by_subject = frames(root)
    splits = {}
    for subject, of_subject in by_subject.items():
        label_bytes = b"".join(frame.joints_mm.tobytes() for frame in of_subject)
        splits[subject] = labels.facts([frame.image for frame in of_subject], label_bytes)
    all_frames = [frame for of_subject in by_subject.values() for frame in of_subject]
    bad = [f"{frame.subject}/{frame.gesture}/{frame.number}" for frame in all_frames if not frame.trainable]
    reasons = (
        (bad, "frames are tested on but not trained on, a wrong label or no hand being known"),
        (_unlabelled(root, all_frames), "pictures have no line in joint.txt and are left out"),
    )
    notes = [f"{len(names):,} {reason}: {labels.some(names)}" for names, reason in reasons if names]
    notes += doubts.notes(frame.doubt for frame in all_frames)
    return {"published": _published(by_subject), "splits": splits, "notes": notes}


def frames_with_images(root: Path) -> list[Frame]:
    """Every frame whose label can be a hand's, for a look at the set."""
    return [frame for group in frames(root).values() for frame in group if frame.doubt is None]


def labelled_hands(root: Path) -> labels.Hands:
    """The labels of all subjects."""
    undoubted = frames_with_images(root)
    joints_mm = np.array([frame.joints_mm for frame in undoubted]).reshape(-1, 21, 3)
    cameras, sides = np.broadcast_to(CAMERA, (len(undoubted), 3, 3)), np.full(len(undoubted), RIGHT)
    subjects = np.array([frame.subject for frame in undoubted])
    return labels.Hands(SKELETON, joints_mm, project(joints_mm, CAMERA), cameras, sides, subjects, False)


def bad_frames() -> frozenset[tuple[str, str, int]]:
    """(subject, gesture, number) of the published set's frames that are not trained on."""
    bad = set()
    for entry in _BAD.split(";"):
        folder, *spans = entry.split()
        for first, _, last in (span.partition("-") for span in spans):
            bad |= {(*folder.split("/"), number) for number in range(int(first), int(last or first) + 1)}
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
    lines = [str(len(raw_mm)), *(" ".join(f"{value:.6f}" for value in frame_mm.ravel()) for frame_mm in raw_mm)]
    write_bytes(root / subject / gesture / "joint.txt", "".join(f"{line}\r\n" for line in lines).encode())


def _published(by_subject: dict[str, list[Frame]]) -> bool:
    return sum(map(len, by_subject.values())) in PUBLISHED_FRAMES


def _unlabelled(root: Path, frames: list[Frame]) -> list[str]:
    """Depth images beyond the labels: the two published versions differ by some."""
    folders = [f"{subject}/{gesture}" for subject in SUBJECTS for gesture in GESTURES]
    paths = [f"{folder}/{name}" for folder in folders for name in labels.names_in(root / folder)]
    labelled = {f"{frame.subject}/{frame.gesture}/{frame.image.name}" for frame in frames}
    return [path for path in paths if path.endswith("_depth.bin") and path not in labelled]


def _frames_of(root: Path, subject: str, gesture: str) -> list[Frame]:
    joints_mm, doubtful = _read_labels(root / subject / gesture / "joint.txt")
    return [
        Frame(
            subject, gesture, number, image_path(root, subject, gesture, number), hand_mm, trainable=True, doubt=doubt
        )
        for number, (hand_mm, doubt) in enumerate(zip(joints_mm, doubtful, strict=True))
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
    return joints_mm, doubts.hand_doubts(wheres.__getitem__, joints_mm, MIDDLE_MCP, testable)
