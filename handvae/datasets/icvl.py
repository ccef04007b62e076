"""ICVL (Tang et al., CVPR 2014): depth images of left hands, 16 joints, read and written in their own layout.

Labels are lines `folder/image_0000.png` and 16 x (u, v, z) in px, px, mm; images are 320 x 240, 16 bit, in mm. Training
images come with copies turned in the image plane, one folder deeper: `angle/session/image_0000.png`.
"""

import hashlib
import re
from array import array
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.base import geometry
from handvae.base.atomic import write_bytes
from handvae.base.errors import InputError
from handvae.base.joints import LEFT, SKELETON_OF, SKELETONS
from handvae.datasets import doubts, labels, png, text
from handvae.datasets.doubts import Doubt
from handvae.datasets.sample import DepthSample

SKELETON = SKELETONS[SKELETON_OF["icvl"]]
PALM = 0
CUBE_MM = 250.0  # DeepPrior++
IMAGE_HW = (240, 320)
# Those of the public evaluation. The authors' focal length is 241.42; the choice moves a mean error by 0.01 mm.
CAMERA = np.array([[240.99, 0.0, 160.0], [0.0, 240.96, 120.0], [0.0, 0.0, 1.0]])
TEST_SEQUENCES = ("test_seq_1", "test_seq_2")
SESSIONS = (
    *("201403121135", "201403121140", "201405151126", "201406030937", "201406031456", "201406031503"),
    *("201406031747", "201406041509", "201406181554", "201406181600", "201406191014", "201406191044"),
)
PUBLISHED_TEST = 702 + 894
PUBLISHED_ORIGINALS = 22_067  # training labels with an image that is not a turned copy
# of label lines, with and without those of the turned copies
PUBLISHED_LINES = {"training": (331_006, 22_068), "evaluation": (PUBLISHED_TEST,)}

# Labels and images: the current release, the current release from two archives that hold a folder of their own name,
# and the old release, in which all lie side by side.
_TRAINING = (
    ("Training/labels.txt", "Training/Depth"),
    ("Training/Training/labels.txt", "Training/Training/Depth"),
    ("train.txt", "Depth"),
    ("labels.txt", "Depth"),
)
_EVALUATION = (("Testing", "Testing/Depth"), ("Testing/Testing", "Testing/Testing/Depth"), (".", "Depth"))
_WANTED = "ICVL's Training/labels.txt and Testing/test_seq_1.txt (or train.txt and test_seq_1.txt)"

# Flaws of the published training labels
_WITHOUT_IMAGE = {"201406030937/image_-001.png"}
_ROTATED_WITHOUT_IMAGE = {
    *(("201405151126", 11993), ("201406030937", 2056), ("201406031456", 4454), ("201406031456", 5254)),
    *(("201406031747", 1424), ("201406191044", 396)),
}
_LISTED_TWICE = {"201403121140/image_1107.png", "201403121140/image_1305.png"}  # and so their copies

_MAX_LINES = 700_000  # real files have 331,006, and there may be a blank line after each
_ORIGINAL = re.compile(r"\d{12}/image_(-?\d{3,5})\.png")
# The angles' folder names are not documented ("45", "122-5"): whatever comes before the session is one.
_ROTATED = re.compile(r"(?!\d{12}/)[\w+-][\w.+-]{0,15}/(\d{12})/image_(-?\d{3,5})\.png")


@dataclass(frozen=True)
class Frame:
    """One label line: the image `path`, relative to `images`, and its joints."""

    images: Path
    path: str
    uvd: np.ndarray  # (16, 3) px, px, mm
    doubt: Doubt | None


@dataclass
class _File:
    """A label file: the frames that can be used, the numbers of lines, and the known flaws."""

    frames: list[Frame]
    lines: int
    rotated: int  # lines for copies turned in the image plane
    without_image: list[str]  # lines of the published file that are known to have none


@dataclass(frozen=True)
class _Labels:
    training: list[Frame]
    evaluation: list[Frame]
    files: dict[str, list[Path]]  # by split
    lines: dict[str, int]  # in these files
    rotated: int  # training lines for copies turned in the image plane
    notes: list[str]


def find(folder: Path) -> Path:
    """The root of the set: `folder` or the folder in it that holds all labels in one of the known layouts."""
    try:
        return labels.one_root(folder, lambda root: _places(root) is not None, _WANTED)
    except InputError as error:
        roots = (folder, *(folder / name for name in labels.names_in(folder))) if folder.is_dir() else ()
        halves = [file for root in roots for file, _ in _TRAINING if _holds_text(root / file)]
        if not halves or "once" in str(error):
            raise
        raise InputError(
            f"{folder}: expected test_seq_1.txt beside {halves[0]}, found none; Testing.tar.gz is wanted as well, in "
            "the same folder or in a list of both archives"
        ) from None


def frames(root: Path, rotated_copies: bool) -> dict[str, list[Frame]]:
    """The usable label lines of `train` and `test` in the files' order; `inspect` says which are not."""
    found = _read(root, rotated_copies)
    return {"train": found.training, "test": found.evaluation}


def read(frame: Frame) -> list[DepthSample]:
    """The hand of one frame. InputError for a missing, damaged or unsuitable image."""
    path = frame.images / frame.path
    depth_u16 = png.read_grey_u16(path)
    if depth_u16.shape != IMAGE_HW:
        raise InputError(f"{path}: expected 320x240 px, found {depth_u16.shape[1]}x{depth_u16.shape[0]}")
    folder, _, name = frame.path.rpartition("/")
    return [
        DepthSample(
            name=frame.path.removesuffix(".png"),
            depth_mm=depth_u16.astype(np.float32),
            joints_mm=geometry.back_project(frame.uvd, CAMERA),
            uv_px=frame.uvd[:, :2],
            camera=CAMERA,
            side=LEFT,
            subject="",
            sequence=folder,
            frame=int(name.removeprefix("image_").removesuffix(".png")),
            moment=_upright(frame.path).removesuffix(".png"),
            cube_mm=CUBE_MM,
            centre_joint=PALM,
            trainable=frame.doubt is None,
        )
    ]


def inspect(root: Path) -> dict:
    """Layout, counts and flaws: {"published", "splits": {split: facts}, "notes": what is left out, how many, why}."""
    found = _read(root, rotated_copies=False)
    splits = {}
    for split, split_frames in (("training", found.training), ("evaluation", found.evaluation)):
        contents = (file.read_bytes() for file in found.files[split])
        splits[split] = {
            "frames": len(split_frames),
            "image_bytes": labels.total_bytes(frame.images / frame.path for frame in split_frames),
            "labels_sha256": hashlib.sha256(b"".join(contents)).hexdigest(),  # turned copies included
        }
    notes = found.notes + doubts.notes(frame.doubt for frame in (*found.training, *found.evaluation))
    if found.rotated:
        notes.append(
            f"{found.rotated:,} training labels are of copies turned in the image plane: left out unless "
            "data.icvl.protocol.rotated_copies, because training turns images itself"
        )
    published = all(found.lines[split] in counts for split, counts in PUBLISHED_LINES.items())
    return {"published": published, "splits": splits, "notes": notes}


def frames_with_images(root: Path) -> list[Frame]:
    """Every frame whose label can be a hand's, for a look at the set."""
    found = frames(root, rotated_copies=False).values()
    return [frame for of_split in found for frame in of_split if frame.doubt is None]


def labelled_hands(root: Path) -> labels.Hands:
    """The labels of all originals and test images."""
    found = frames_with_images(root)
    uvd = np.array([frame.uvd for frame in found]).reshape(-1, 16, 3)
    subjects = np.array([frame.path.rpartition("/")[0] for frame in found])
    cameras, sides = np.broadcast_to(CAMERA, (len(uvd), 3, 3)), np.full(len(uvd), LEFT)
    return labels.Hands(SKELETON, geometry.back_project(uvd, CAMERA), uvd[..., :2], cameras, sides, subjects, False)


def image_name(number: int) -> str:
    return f"image_{number:04d}.png"


def write_image(path: Path, depth_mm: np.ndarray) -> None:
    """Write (240, 320) whole millimetres, 0 where nothing was measured, as a 16-bit PNG."""
    png.write(path, depth_mm.astype(np.uint16))


def write_labels(path: Path, paths: list[str], uvd: np.ndarray, line_end: str = "\n") -> None:
    """One line a frame: its image's path, then uvd (N, 16, 3). The real test files end lines in " \\r\\r\\n"."""
    lines = [
        f"{name} {' '.join(f'{value:.6f}' for value in one.ravel())}{line_end}"
        for name, one in zip(paths, uvd, strict=True)
    ]
    write_bytes(path, "".join(lines).encode())


def _places(root: Path) -> tuple[Path, Path, Path, Path] | None:
    """Training labels and images, folder of the test labels, test images; None if the layout is not one of those.

    Empty files do not count: a public converter leaves an empty train.txt. InputError where two layouts lie together.
    """
    training = [(root / file, root / images) for file, images in _TRAINING if _holds_text(root / file)]
    evaluation = [(root / at, root / images) for at, images in _EVALUATION if _holds_text(root / at / "test_seq_1.txt")]
    for found in (training, evaluation):
        if len(found) > 1:
            files = " and ".join(str(one[0].relative_to(root)) for one in found)
            raise InputError(
                f"{root}: expected ICVL's labels once, found {files}; remove what is left of the other copy"
            )
    return (*training[0], *evaluation[0]) if training and evaluation else None


def _holds_text(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


def _read(root: Path, rotated_copies: bool) -> _Labels:
    places = _places(root)
    if places is None:
        raise InputError(f"{root}: expected {_WANTED} with labels in them, found none or empty ones")
    training_file, training_images, test_folder, test_images = places
    training = _read_file(training_file, training_images, rotated_copies)
    flaws = (
        (training.without_image, "have no image, a known flaw"),
        (_without_second_lines(training_file, training), "name an image again, a known flaw"),
    )
    notes = [
        f"{len(paths)} training label(s) left out, which {why}: {labels.some(paths)}" for paths, why in flaws if paths
    ]
    tests = [file for file in (test_folder / f"{sequence}.txt" for sequence in TEST_SEQUENCES) if file.exists()]
    if len(tests) < len(TEST_SEQUENCES):
        notes.append(f"{TEST_SEQUENCES[1]}.txt is not there: tested on {TEST_SEQUENCES[0]} alone")
    evaluation = [frame for file in tests for frame in _read_file(file, test_images, False).frames]
    _refuse_repeated(test_folder, evaluation, set())
    files = {"training": [training_file], "evaluation": tests}
    lines = {"training": training.lines, "evaluation": len(evaluation)}
    return _Labels(training.frames, evaluation, files, lines, training.rotated, notes)


def _read_file(file: Path, images: Path, rotated_copies: bool) -> _File:
    """The frames of one label file. InputError for the first line that is none."""
    expected, upright = "session/image_0000.png or angle/session/image_0000.png", _ORIGINAL
    if file.stem in TEST_SEQUENCES:
        expected, upright = f"{file.stem}/image_0000.png", re.compile(rf"{file.stem}/image_(\d{{4,5}})\.png")
    found, numbers = _File([], 0, 0, []), array("d")
    paths: list[str] = []
    wheres: list[str] = []
    for where, tokens in text.records(file, _MAX_LINES):
        path = tokens[0].decode("ascii", errors="replace")
        rotated = upright is _ORIGINAL and _ROTATED.fullmatch(path)
        if not rotated and not upright.fullmatch(path):
            raise InputError(f"{where}: expected a path like {expected}, found {text.shown(path)}")
        if len(tokens) != 49:
            raise InputError(f"{where}: expected 48 numbers after the path, found {len(tokens) - 1}")
        found.lines += 1
        found.rotated += bool(rotated)
        if _known_to_lack_its_image(path) and not (images / path).is_file():
            found.without_image.append(path)
        elif not rotated or rotated_copies:
            wheres.append(where)
            paths.append(path)
            numbers.extend(text.joints(where, tokens[1:]))
    if not paths:
        raise InputError(f"{file}: expected one line a frame, found none")
    uvd = np.frombuffer(numbers).reshape(-1, 16, 3)
    with np.errstate(all="ignore"):  # of damaged numbers, which are then doubtful
        joints_mm = geometry.back_project(uvd, CAMERA)
        testable = doubts.testable(joints_mm, uvd[..., :2], PALM)
    hint = doubts.unit_hint(joints_mm, PALM, "millimetres")
    doubtful = doubts.find(wheres.__getitem__, doubts.hand_checks(joints_mm, PALM), testable, hint)
    found.frames = [Frame(images, *one) for one in zip(paths, uvd, doubtful, strict=True)]
    return found


def _without_second_lines(file: Path, found: _File) -> list[str]:
    """Leave out the second line for one image, a known flaw; InputError for any other image that is named again."""
    _refuse_repeated(file, found.frames, _LISTED_TWICE)
    first: dict[str, Frame] = {}
    repeated = [frame.path for frame in found.frames if first.setdefault(frame.path, frame) is not frame]
    found.frames = list(first.values())
    return repeated


def _refuse_repeated(where: Path, found: list[Frame], known: set[str]) -> None:
    for path, count in Counter(frame.path for frame in found).items():
        if count > 1 and not (count == 2 and _upright(path) in known):
            raise InputError(f"{where}: expected every image once, found {path} {count} times")


def _known_to_lack_its_image(path: str) -> bool:
    rotated = _ROTATED.fullmatch(path)
    if rotated:
        return (rotated[1], int(rotated[2])) in _ROTATED_WITHOUT_IMAGE
    return path in _WITHOUT_IMAGE


def _upright(path: str) -> str:
    """The path of the original of a turned copy, or of an original itself."""
    return "/".join(path.split("/")[-2:])
