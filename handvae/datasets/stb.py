"""STB, the Stereo Hand Pose Tracking Benchmark (Zhang et al., ICIP 2017): its Bumblebee pictures, read and written.

Twelve sequences of a left hand, B1 to B6, Counting and Random, with a left and a right view of every frame:
`images/<sequence>/BB_left_0.png` and `labels/<sequence>_BB.mat`, whose `handPara` (3, 21, N) holds millimetres in the
left camera's frame, palm first, then little finger to thumb, base to tip. The second camera's files (SK) are ignored.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.base.errors import InputError
from handvae.base.geometry import project, scale_bone_mm
from handvae.base.joints import LEFT, MIDDLE_MCP, RING_MCP, ROOT, SKELETON_OF, SKELETONS
from handvae.datasets import doubts, labels, matlab, png, text
from handvae.datasets.doubts import Doubt
from handvae.datasets.sample import Sample

SKELETON = SKELETONS[SKELETON_OF["stb"]]
SEQUENCES = tuple(f"B{background}{motion}" for background in range(1, 7) for motion in ("Counting", "Random"))
PUBLISHED_FRAMES = 1500  # of every sequence
PUBLISHED_TEST = 6000  # both views of two sequences
PUBLISHED_TEST_SEQUENCES = ("B1Counting", "B1Random")
VIEWS = ("left", "right")
IMAGE_HW = (480, 640)
CAMERA = np.array([[822.79041, 0.0, 318.47345], [0.0, 822.79041, 250.31296], [0.0, 0.0, 1.0]])  # of both views
BASELINE_MM = 120.054  # the pair is rectified: in the right camera's frame a point's x is smaller by this

# STB's order runs from the little finger to the thumb: HAND21[i] is row TO_HAND21[i]. Its own inverse.
TO_HAND21 = (0, 17, 18, 19, 20, 13, 14, 15, 16, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4)

_MAX_FRAMES = 100_000
_IMAGE_FOLDERS = ("images/{0}", "{0}", "images/{0}/{0}", "{0}/{0}")  # archives B4 to B6 hold a folder, B1 to B3 none
_LABEL_FOLDERS = ("labels", "labels/labels")
_SELECTION = re.compile(r"(\w+)(?::(\d{1,6})-(\d{1,6}))?")


@dataclass(frozen=True)
class Frame:
    """One view of one frame of a sequence."""

    sequence: str
    number: int
    view: str
    image: Path | None  # None: the labels alone are used
    joints_mm: np.ndarray  # (21, 3) in the frame of this view's camera, HAND21 order
    doubt: Doubt | None


def find(folder: Path) -> Path:
    """The root of the set: `folder` or the folder in it that holds labels/<sequence>_BB.mat."""
    return labels.one_root(folder, lambda root: bool(_label_files(root)), "STB's labels/<sequence>_BB.mat")


def frames(
    root: Path, training: list[str], evaluation: list[str], views: list[str], images: bool
) -> dict[str, list[Frame]]:
    """The frames of `train` and `test`, in the reference's order: sequence by sequence, of each frame left, then right.

    A selection is a sequence, "B1Counting", or some of its frames, "B1Counting:0-1199", both ends included. InputError
    for a sequence or frame that is not there, a frame in both splits and, with `images`, a missing image.
    """
    selections = {"train": training, "test": evaluation}
    parts = {split: [_selected(root, selection) for selection in selections[split]] for split in selections}
    seen: set[tuple[str, int]] = set()
    for sequence, numbers in (*parts["train"], *parts["test"]):
        chosen = {(sequence, number) for number in numbers}
        if again := seen & chosen:
            first = "/".join(map(str, min(again)))
            raise InputError(f"data.stb.protocol: expected every frame once, found {first} again")
        seen |= chosen
    splits = {
        split: [frame for part in of_split for frame in _frames_of(root, *part, views, images)]
        for split, of_split in parts.items()
    }
    if images:  # all of them must be there
        labels.total_bytes(frame.image for of_split in splits.values() for frame in of_split)
    return splits


def read(frame: Frame) -> list[Sample]:
    """The hand of one frame. InputError for a missing, damaged or unsuitable image."""
    image_u8 = None if frame.image is None else png.read_rgb_u8(frame.image)
    if image_u8 is not None and image_u8.shape[:2] != IMAGE_HW:
        raise InputError(f"{frame.image}: expected 640x480 px, found {image_u8.shape[1]}x{image_u8.shape[0]}")
    uv_px = project(frame.joints_mm, CAMERA)
    # The reference sizes the crop by a wrist that STB does not have: as far beyond the palm as the ring finger's MCP is
    # before it (BinaryDbReaderSTB; for RHD it takes the middle finger).
    sizing_uv_px = uv_px.copy()
    sizing_uv_px[ROOT] = uv_px[RING_MCP] + 2 * (uv_px[ROOT] - uv_px[RING_MCP])
    return [
        Sample(
            name=f"{frame.sequence}/{frame.number:04d} {frame.view}",
            image_u8=image_u8,
            image_hw=IMAGE_HW,
            joints_mm=frame.joints_mm,
            uv_px=uv_px,
            visible=np.ones(21, bool),  # STB says nothing of visibility; the reference counts every joint
            camera=CAMERA,
            side=LEFT,
            subject="",
            sequence=f"{frame.sequence} {frame.view}",
            frame=frame.number,
            moment=f"{frame.sequence}/{frame.number:04d}",
            trainable=frame.doubt is None,
            sizing_uv_px=sizing_uv_px,
        )
    ]


def inspect(root: Path) -> dict:
    """Layout and counts: {"published", "splits": {sequence: facts}, "notes": what is missing or doubtful}."""
    splits, lacking, doubtful = {}, [], []
    for sequence, file in sorted(_label_files(root).items()):
        joints_mm, of_sequence = _read_labels(file)
        count = len(joints_mm)
        doubtful += of_sequence
        sizes = [_image_sizes(root, sequence, view, count) for view in VIEWS]
        splits[sequence] = {
            "frames": count,
            "images": sum(map(len, sizes)),
            "image_bytes": sum(map(sum, sizes)),
            "labels_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        if any(len(of_view) != count for of_view in sizes):
            lacking.append(f"{sequence} has {len(sizes[0]):,} left and {len(sizes[1]):,} right of {count:,}")
    absent = [sequence for sequence in SEQUENCES if sequence not in splits]
    counts = {facts["frames"] for facts in splits.values()} | {facts["images"] / 2 for facts in splits.values()}
    notes = _layout_notes(root, lacking, absent) + doubts.notes(doubtful)
    return {"published": not absent and counts == {PUBLISHED_FRAMES}, "splits": splits, "notes": notes}


def frames_with_images(root: Path) -> list[Frame]:
    """Every frame of every sequence whose image is there and whose label can be a hand's, for a look at the set."""
    return [
        frame
        for sequence in sorted(_label_files(root))
        for frame in _frames_of(root, sequence, None, list(VIEWS), images=True)
        if frame.doubt is None and frame.image.is_file()
    ]


def labelled_hands(root: Path) -> labels.Hands:
    """The labels of every sequence, in both views."""
    parts_mm, subjects = [], []
    for sequence, file in sorted(_label_files(root).items()):
        of_sequence_mm, doubtful = _read_labels(file)
        parts_mm.append(of_sequence_mm[[doubt is None for doubt in doubtful]])
        subjects += [sequence] * len(parts_mm[-1])
    joints_mm = np.concatenate([in_view(np.concatenate(parts_mm), view) for view in VIEWS])
    cameras, sides = np.broadcast_to(CAMERA, (len(joints_mm), 3, 3)), np.full(len(joints_mm), LEFT)
    return labels.Hands(SKELETON, joints_mm, project(joints_mm, CAMERA), cameras, sides, np.tile(subjects, 2), False)


def in_view(joints_mm: np.ndarray, view: str) -> np.ndarray:
    """Joints (..., 3) of the left camera's frame in the frame of a view's camera."""
    return joints_mm - [BASELINE_MM if view == "right" else 0.0, 0.0, 0.0]


def image_path(root: Path, sequence: str, view: str, number: int) -> Path:
    """Where an image lies in the layout that most readers expect."""
    return root / "images" / sequence / f"BB_{view}_{number}.png"


def write_labels(root: Path, sequence: str, joints_mm: np.ndarray) -> None:
    """Write labels/<sequence>_BB.mat from joints (N, 21, 3) of the left camera's frame in HAND21 order, palm first."""
    raw_mm = joints_mm[:, list(TO_HAND21)].transpose(2, 1, 0)
    matlab.write(root / "labels" / f"{sequence}_BB.mat", {"handPara": raw_mm})


def _layout_notes(root: Path, lacking: list[str], absent: list[str]) -> list[str]:
    """Notes on sequences that lack images or labels, and on an archive unpacked in the wrong folder."""
    notes = []
    if lacking:
        notes.append(
            f"{len(lacking)} sequences lack images ({'; '.join(lacking)}): usable where data.stb.protocol selects "
            "frames that have images, or with images: false"
        )
    if loose := [folder for folder in ("images", ".") if (root / folder / "BB_left_0.png").is_file()]:
        notes.append(
            f"{root / loose[0]} holds BB_left_0.png itself: the archives of B1 to B3 have no folder in them; unpack "
            "each to images/<its name>"
        )
    if absent:
        notes.append(f"{len(absent)} of the 12 sequences have no labels here: {', '.join(absent)}")
    return notes


def _label_files(root: Path) -> dict[str, Path]:
    for folder in _LABEL_FOLDERS:
        paths = {sequence: root / folder / f"{sequence}_BB.mat" for sequence in SEQUENCES}
        if files := {sequence: path for sequence, path in paths.items() if path.is_file()}:
            return files
    return {}


def _read_labels(file: Path) -> tuple[np.ndarray, list[Doubt | None]]:
    """(N, 21, 3) in HAND21 order, the left camera's frame, and what is wrong with each."""
    raw_mm = matlab.read(file, "handPara", 3, _MAX_FRAMES * 21 * 3)
    if raw_mm.shape[:2] != (3, 21):
        raise InputError(f"{file}: expected handPara of 3 x 21 x frames, found {' x '.join(map(str, raw_mm.shape))}")
    joints_mm = np.ascontiguousarray(raw_mm.transpose(2, 1, 0)[:, list(TO_HAND21)])
    with np.errstate(all="ignore"):  # of damaged numbers, which are then doubtful
        bone = doubts.scale_bone_check(scale_bone_mm(joints_mm)[:, None])
        testable = bone.good[:, 0] & doubts.testable(joints_mm, project(joints_mm, CAMERA), MIDDLE_MCP)
    return joints_mm, doubts.hand_doubts(lambda number: f"{file}: frame {number}", joints_mm, ROOT, testable, bone)


def _selected(root: Path, selection: str) -> tuple[str, range]:
    """The sequence and the frames that a selection of data.stb.protocol names."""
    match, files = _SELECTION.fullmatch(selection), _label_files(root)
    if match is None or match[1] not in files:
        raise InputError(
            f"{root}: data.stb.protocol: expected sequences whose labels are here ({', '.join(files)}), or frames of "
            f"one, like B1Counting:0-1199, found {text.shown(selection)}"
        )
    sequence, file = match[1], files[match[1]]
    count = len(_read_labels(file)[1])
    first, last = (int(match[2]), int(match[3])) if match[2] else (0, count - 1)
    if not first <= last < count:
        raise InputError(f"{file}: expected frames {first} to {last} of data.stb.protocol, found {count} frames")
    return sequence, range(first, last + 1)


def _frames_of(root: Path, sequence: str, numbers: range | None, views: list[str], images: bool) -> list[Frame]:
    """The frames of a sequence with these `numbers`, or (None) all of them, whether or not their images are there."""
    joints_mm, doubtful = _read_labels(_label_files(root)[sequence])
    folder = _image_folder(root, sequence) if images else None
    frames = []
    for number in range(len(joints_mm)) if numbers is None else numbers:
        for view in views:
            image = folder / f"BB_{view}_{number}.png" if folder else None
            frames.append(Frame(sequence, number, view, image, in_view(joints_mm[number], view), doubtful[number]))
    return frames


def _image_folder(root: Path, sequence: str) -> Path:
    folders = [root / pattern.format(sequence) for pattern in _IMAGE_FOLDERS]
    return next((folder for folder in folders if (folder / "BB_left_0.png").is_file()), folders[0])


def _image_sizes(root: Path, sequence: str, view: str, count: int) -> list[int]:
    """Sizes in bytes of those of the `count` images of a view that are there."""
    folder = _image_folder(root, sequence)
    paths = (folder / f"BB_{view}_{number}.png" for number in range(count))
    return [path.stat().st_size for path in paths if path.is_file()]
