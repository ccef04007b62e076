"""NYU Hand Pose (Tompson et al., SIGGRAPH 2014): Kinect depth of right hands, 36 joints of which 14 are evaluated.

`train/` and `test/` hold depth_1_0000001.png, counted from 1 (view 1 is the frontal one, the only one the literature
uses), and joint_data.mat with joint_uvd and joint_xyz, 3 views x N x 36 x 3: px, px, mm, and mm with y up.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.base.errors import InputError
from handvae.base.geometry import project
from handvae.base.joints import NYU36, NYU_PALM, RIGHT, SKELETON_OF, SKELETONS
from handvae.datasets import doubts, labels, matlab, png
from handvae.datasets.doubts import Doubt
from handvae.datasets.sample import DepthSample

SKELETON = SKELETONS[SKELETON_OF["nyu"]]
SPLITS = ("train", "test")
PUBLISHED_FRAMES = {"train": 72_757, "test": 8_252}
PUBLISHED_TEST = PUBLISHED_FRAMES["test"]
IMAGE_HW = (480, 640)
VIEWS = 3
CAMERA = np.array([[588.036865, 0.0, 320.0], [0.0, 587.075073, 240.0], [0.0, 0.0, 1.0]])

# DeepPrior++'s cubes: training and the first test subject 300 mm, the second one, whose hand is smaller, 250 mm. She
# comes after test frame 2,440 of 8,252; in a set of another size (the synthetic one) after the same share.
CUBE_MM = {"1": 300.0, "2": 250.0}
FIRST_SUBJECT_TEST_FRAMES = 2_440

_MAX_NUMBERS = VIEWS * 100_000 * 36 * 3
_REPROJECTION_PX = 1.0  # joint_xyz is joint_uvd by the fixed camera


@dataclass(frozen=True)
class Frame:
    split: str
    number: int  # from 1, as the files have it
    image: Path
    subject: str
    joints_mm: np.ndarray  # (36, 3) camera frame, y down
    doubt: Doubt | None


def find(folder: Path) -> Path:
    """The root of the set: `folder` or the folder in it (`dataset`) with train/ and test/ and their images."""
    markers = ("joint_data.mat", "depth_1_0000001.png")
    return labels.one_root(
        folder,
        lambda root: all(any((root / split / marker).is_file() for marker in markers) for split in SPLITS),
        "NYU's train/joint_data.mat and test/joint_data.mat",
    )


def frames(root: Path) -> dict[str, list[Frame]]:
    """The frames of `train` and `test`, view 1, in order."""
    return {split: _frames_of(root, split) for split in SPLITS}


def read(frame: Frame) -> list[DepthSample]:
    """The hand of one frame. InputError for a missing, damaged or unsuitable image."""
    name = f"{frame.split}/{frame.number:07d}"
    return [
        DepthSample(
            name=name,
            depth_mm=read_depth_mm(frame.image),
            joints_mm=frame.joints_mm,
            uv_px=project(frame.joints_mm, CAMERA),
            camera=CAMERA,
            side=RIGHT,
            subject=frame.subject,
            sequence=frame.split,
            frame=frame.number,
            moment=name,
            cube_mm=CUBE_MM[frame.subject],
            centre_joint=NYU_PALM,
            trainable=frame.doubt is None,
        )
    ]


def read_depth_mm(path: Path) -> np.ndarray:
    """(480, 640) float32 mm: G is the high byte, B the low one, R is ignored; 0 where nothing was measured."""
    rgb_u8 = png.read_rgb_u8(path)
    if rgb_u8.shape[:2] != IMAGE_HW:
        raise InputError(f"{path}: expected 640x480 px, found {rgb_u8.shape[1]}x{rgb_u8.shape[0]}")
    return rgb_u8[..., 1].astype(np.float32) * 256 + rgb_u8[..., 2]


def inspect(root: Path) -> dict:
    """Layout and counts: {"published", "splits": {split: facts}, "notes": which labels are doubtful}."""
    splits, doubtful = {}, []
    for split in SPLITS:
        of_split = _frames_of(root, split)
        count = len(of_split)
        doubtful += [frame.doubt for frame in of_split]
        label_bytes = b"".join(frame.joints_mm.tobytes() for frame in of_split)
        splits[split] = labels.facts([frame.image for frame in of_split], label_bytes)
        if image_path(root, split, "depth", count + 1).exists():
            raise InputError(f"{root}/{split}: expected {count:,} images as joint_data.mat has labels, found more")
    counts = {split: facts["frames"] for split, facts in splits.items()}
    return {"published": counts == PUBLISHED_FRAMES, "splits": splits, "notes": doubts.notes(doubtful)}


def frames_with_images(root: Path) -> list[Frame]:
    """Every frame whose label can be a hand's, for a look at the set."""
    return [frame for group in frames(root).values() for frame in group if frame.doubt is None]


def labelled_hands(root: Path) -> labels.Hands:
    """The labels of view 1 of both splits."""
    all_frames = [frame for of_split in frames(root).values() for frame in of_split]
    parts = [_read_labels(root / split / "joint_data.mat")[:2] for split in SPLITS]
    undoubted = np.array([frame.doubt is None for frame in all_frames])
    joints_mm, uv_px = (np.concatenate(column)[undoubted] for column in zip(*parts, strict=True))
    subjects = np.array([f"subject {frame.subject}" for frame in all_frames])[undoubted]
    cameras, sides = np.broadcast_to(CAMERA, (len(joints_mm), 3, 3)), np.full(len(joints_mm), RIGHT)
    return labels.Hands(SKELETON, joints_mm, uv_px, cameras, sides, subjects, True)


def first_subject_frames(split: str, count: int) -> int:
    """How many frames of a split of `count` frames show the first subject, who comes first."""
    if split != "test":
        return count
    return round(count * FIRST_SUBJECT_TEST_FRAMES / PUBLISHED_FRAMES["test"])


def image_path(root: Path, split: str, content: str, number: int) -> Path:
    """An image of view 1; `content` is "depth", or "synthdepth", which shows the hand alone; numbers count from 1."""
    return root / split / f"{content}_1_{number:07d}.png"


def write_image(path: Path, depth_mm: np.ndarray) -> None:
    """Write (480, 640) whole millimetres, 0 where nothing was measured, G high and B low byte."""
    image_u8 = np.zeros((*depth_mm.shape, 3), np.uint8)
    image_u8[..., 1:] = depth_mm.astype(">u2")[..., None].view(np.uint8)
    png.write(path, image_u8)


def write_labels(root: Path, split: str, joints_mm: np.ndarray) -> None:
    """Write joint_data.mat from joints (3 views, N, 36, 3), each in its view's camera frame, y down."""
    uvd = np.concatenate([project(joints_mm, CAMERA), joints_mm[..., 2:]], axis=-1)
    variables = {"joint_names": list(NYU36), "joint_uvd": uvd, "joint_xyz": joints_mm * [1.0, -1.0, 1.0]}
    matlab.write(root / split / "joint_data.mat", variables)


def _frames_of(root: Path, split: str) -> list[Frame]:
    joints_mm, _, doubtful = _read_labels(root / split / "joint_data.mat")
    numbers, of_first = range(1, len(joints_mm) + 1), first_subject_frames(split, len(joints_mm))
    images = [image_path(root, split, "depth", number) for number in numbers]
    subjects = ["1" if number <= of_first else "2" for number in numbers]
    columns = zip(numbers, images, subjects, joints_mm, doubtful, strict=True)
    return [Frame(split, *values) for values in columns]


def _read_labels(file: Path) -> tuple[np.ndarray, np.ndarray, list[Doubt | None]]:
    """joints_mm (N, 36, 3), y down, and uv_px (N, 36, 2), of view 1, and what is wrong with each hand."""
    if not file.is_file():
        raise InputError(f"{file}: expected NYU's labels, found no file; unpack nyu_hand_dataset_v2.zip again, whole")
    # one view of three is kept: the training labels would take 378 MB
    uvd, xyz_mm = (matlab.read(file, name, 4, _MAX_NUMBERS)[0].copy() for name in ("joint_uvd", "joint_xyz"))
    for name, array in (("joint_uvd", uvd), ("joint_xyz", xyz_mm)):
        if array.shape != (len(uvd), 36, 3):
            raise InputError(
                f"{file}: expected {name} of 3 x N x 36 x 3, found {' x '.join(map(str, array.shape))} in view 1"
            )
    joints_mm = np.multiply(xyz_mm, [1.0, -1.0, 1.0], order="C")  # rows are stored in that order
    with np.errstate(all="ignore"):  # of damaged numbers, which are then doubtful
        projected_px = project(joints_mm, CAMERA)
        error_px = np.linalg.norm(projected_px - uvd[..., :2], axis=-1)
        error_px = np.maximum(error_px, np.abs(joints_mm[..., 2] - uvd[..., 2]))  # and the same depth, in mm
        testable = doubts.testable(joints_mm, projected_px, NYU_PALM)
    expected = f"joint_xyz to project to joint_uvd within {_REPROJECTION_PX:g} px"
    check = doubts.Check(expected, error_px <= _REPROJECTION_PX, error_px)
    doubtful = doubts.hand_doubts(lambda index: f"{file}: frame {index + 1}", joints_mm, NYU_PALM, testable, check)
    return joints_mm, uvd[..., :2], doubtful
