"""ICVL (Tang et al., CVPR 2014): depth images of left hands, 16 joints, read and written in their own layout.

Labels are lines `folder/image_0000.png` and 16 x (u, v, z) in px, px, mm; images are 320 x 240, 16 bit, in mm. Training
images come with copies turned in the image plane, one folder deeper: `angle/session/image_0000.png`.
"""

from pathlib import Path

import numpy as np

from handvae.base import geometry
from handvae.base.atomic import write_bytes
from handvae.base.errors import InputError
from handvae.base.joints import LEFT, SKELETON_OF, SKELETONS
from handvae.datasets import doubts, icvl_labels, labels, png
from handvae.datasets.icvl_labels import CAMERA, PALM, TEST_SEQUENCES, Frame, LabelFile
from handvae.datasets.sample import DepthSample

SKELETON = SKELETONS[SKELETON_OF["icvl"]]
CUBE_MM = 250.0  # DeepPrior++
IMAGE_HW = (240, 320)
SESSIONS = (
    *("201403121135", "201403121140", "201405151126", "201406030937", "201406031456", "201406031503"),
    *("201406031747", "201406041509", "201406181554", "201406181600", "201406191014", "201406191044"),
)
PUBLISHED_TEST = 702 + 894
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


def find(folder: Path) -> Path:
    """The root of the set: `folder` or the folder in it that holds all labels in one of the known layouts."""
    try:
        return labels.one_root(folder, lambda root: _layout(root) is not None, _WANTED)
    except InputError as error:
        roots = (folder, *(folder / name for name in labels.names_in(folder))) if folder.is_dir() else ()
        training = [file for root in roots for file, _ in _TRAINING if _holds_text(root / file)]
        if not training or "once" in str(error):
            raise
        raise InputError(
            f"{folder}: expected test_seq_1.txt beside {training[0]}, found none; Testing.tar.gz is wanted as well, in "
            "the same folder or in a list of both archives"
        ) from None


def frames(root: Path, rotated_copies: bool) -> dict[str, list[Frame]]:
    """The usable label lines of `train` and `test` in the files' order; `inspect` says which are not."""
    training, evaluation = _read(root, rotated_copies)
    return {"train": training.frames, "test": [frame for file in evaluation for frame in file.frames]}


def read(frame: Frame) -> list[DepthSample]:
    """The hand of one frame. InputError for a missing, damaged or unsuitable image."""
    path = frame.images / frame.path
    depth_u16 = png.read_grey_u16(path)
    if depth_u16.shape != IMAGE_HW:
        raise InputError(f"{path}: expected 320x240 px, found {depth_u16.shape[1]}x{depth_u16.shape[0]}")
    return [
        DepthSample(
            name=frame.path.removesuffix(".png"),
            depth_mm=depth_u16.astype(np.float32),
            joints_mm=geometry.back_project(frame.uvd, CAMERA),
            uv_px=frame.uvd[:, :2],
            camera=CAMERA,
            side=LEFT,
            subject="",
            sequence=frame.path.rpartition("/")[0],
            frame=icvl_labels.number(frame.path),
            moment=icvl_labels.original(frame.path).removesuffix(".png"),
            cube_mm=CUBE_MM,
            centre_joint=PALM,
            trainable=frame.doubt is None,
        )
    ]


def inspect(root: Path) -> dict:
    """Layout, counts and flaws: {"published", "splits": {split: facts}, "notes": what is left out, how many, why}."""
    training, evaluation = _read(root, rotated_copies=False)
    splits, published = {}, True
    for split, files in (("training", [training]), ("evaluation", evaluation)):
        images = [frame.images / frame.path for file in files for frame in file.frames]
        splits[split] = labels.facts(images, b"".join(file.path.read_bytes() for file in files))  # all lines count
        published &= sum(file.lines for file in files) in PUBLISHED_LINES[split]
    notes = [
        f"{len(paths)} training label(s) left out, which {flaw}, a known flaw: {labels.some(paths)}"
        for flaw, paths in training.flaws.items()
        if paths
    ]
    if len(evaluation) < len(TEST_SEQUENCES):
        notes.append(f"{TEST_SEQUENCES[1]}.txt is not there: tested on {TEST_SEQUENCES[0]} alone")
    notes += doubts.notes(frame.doubt for file in (training, *evaluation) for frame in file.frames)
    if training.rotated:
        notes.append(
            f"{training.rotated:,} training labels are of copies turned in the image plane: left out unless "
            "data.icvl.protocol.rotated_copies, because training turns images itself"
        )
    return {"published": published, "splits": splits, "notes": notes}


def frames_with_images(root: Path) -> list[Frame]:
    """Every frame whose label can be a hand's, for a look at the set."""
    splits = frames(root, rotated_copies=False).values()
    return [frame for split in splits for frame in split if frame.doubt is None]


def labelled_hands(root: Path) -> labels.Hands:
    """The labels of all originals and test images."""
    undoubted = frames_with_images(root)
    uvd = np.array([frame.uvd for frame in undoubted]).reshape(-1, 16, 3)
    subjects = np.array([frame.path.rpartition("/")[0] for frame in undoubted])
    cameras, sides = np.broadcast_to(CAMERA, (len(uvd), 3, 3)), np.full(len(uvd), LEFT)
    return labels.Hands(SKELETON, geometry.back_project(uvd, CAMERA), uvd[..., :2], cameras, sides, subjects, False)


def image_name(number: int) -> str:
    return f"image_{number:04d}.png"


def write_image(path: Path, depth_mm: np.ndarray) -> None:
    """Write (240, 320) whole millimetres, 0 where nothing was measured, as a 16-bit PNG."""
    png.write(path, depth_mm.astype(np.uint16))


def write_labels(path: Path, paths: list[str], uvd: np.ndarray, line_end: str = "\n") -> None:
    """One line a frame: its image's path, then uvd (N, 16, 3). The real test files end lines in " \\r\\r\\n"."""
    numbers = [" ".join(f"{value:.6f}" for value in frame_uvd.ravel()) for frame_uvd in uvd]
    lines = [f"{name} {line}{line_end}" for name, line in zip(paths, numbers, strict=True)]
    write_bytes(path, "".join(lines).encode())


def _layout(root: Path) -> tuple[Path, Path, Path, Path] | None:
    """Training labels and images, folder of the test labels, test images; None if the layout is not one of those.

    Files that public programs leave beside a layout do not count: an empty train.txt, or a list without images of its
    own. InputError where two layouts lie together.
    """
    training = [(root / file, root / images) for file, images in _TRAINING if _holds_text(root / file)]
    evaluation = [(root / at, root / images) for at, images in _EVALUATION if _holds_text(root / at / "test_seq_1.txt")]
    for copies in (training, evaluation):
        if len(copies) > 1:
            copies[:] = [copy for copy in copies if copy[1].is_dir()] or copies
        if len(copies) > 1:
            paths = " and ".join(str(path.relative_to(root)) for path, _ in copies)
            raise InputError(
                f"{root}: expected ICVL's labels once, found {paths}; remove what is left of the other copy"
            )
    return (*training[0], *evaluation[0]) if training and evaluation else None


def _holds_text(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


def _read(root: Path, rotated_copies: bool) -> tuple[LabelFile, list[LabelFile]]:
    """The training labels, and those of the test sequences that are there."""
    layout = _layout(root)
    if layout is None:
        raise InputError(f"{root}: expected {_WANTED} with labels in them, found none or empty ones")
    training_file, training_images, test_folder, test_images = layout
    training = icvl_labels.read(training_file, training_images, rotated_copies)
    tests = [file for sequence in TEST_SEQUENCES if (file := test_folder / f"{sequence}.txt").exists()]
    return training, [icvl_labels.read(file, test_images, rotated_copies) for file in tests]
