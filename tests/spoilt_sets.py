"""Small sets in the layouts of all five, whose labels a test spoils."""

import itertools
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.base.atomic import synced_together
from handvae.datasets import icvl, msra, nyu, png, rhd, stb
from tests import test_icvl, test_msra, test_nyu, test_rhd, test_stb

HANDS = 8  # of each of the two label files that are spoilt
Change = Callable[[np.ndarray], None]  # of joints (N, J, 3), in place; of ICVL u, v, z


def write_once(path: Path, write: Callable[[Path, np.ndarray], None], image: np.ndarray) -> None:
    if not path.exists():
        write(path, image)


def rhd_set(root: Path, training: Change, evaluation: Change) -> None:
    if not root.exists():
        test_rhd.write_set(root, {"training": HANDS, "evaluation": HANDS}, visible=np.arange(42) < 21)
    for seed, (split, change) in enumerate({"training": training, "evaluation": evaluation}.items()):
        xyz_m = test_rhd.hands_m(np.random.default_rng(seed), HANDS)
        rhd.write_annotations(root / split, **test_rhd.annotations(xyz_m, np.arange(42) < 21))
        path = rhd.annotation_path(root / split)
        content = pickle.loads(path.read_bytes())
        hands = np.stack([content[number]["xyz"][:21] for number in range(HANDS)])
        change(hands)
        for number in range(HANDS):
            content[number]["xyz"][:21] = hands[number]
        path.write_bytes(pickle.dumps(content, protocol=3))


def stb_set(root: Path, training: Change, evaluation: Change) -> None:
    for seed, (sequence, change) in enumerate({"B2Random": training, "B1Counting": evaluation}.items()):
        change(joints_mm := test_stb.joints_mm(HANDS, seed))
        stb.write_labels(root, sequence, joints_mm)
        for path in (stb.image_path(root, sequence, view, n) for view in stb.VIEWS for n in range(HANDS)):
            write_once(path, png.write, np.full((*stb.IMAGE_HW, 3), 90, np.uint8))


def icvl_set(root: Path, training: Change, evaluation: Change) -> None:
    files = (("Training/labels.txt", icvl.SESSIONS[0], training), ("Testing/test_seq_1.txt", "test_seq_1", evaluation))
    for seed, (file, folder, change) in enumerate(files):
        names, uvd = [f"{folder}/{icvl.image_name(n)}" for n in range(HANDS)], test_icvl.labels(HANDS, seed)
        change(uvd)
        icvl.write_labels(root / file, names, uvd)
        for name in names:
            write_once(root / file.partition("/")[0] / "Depth" / name, icvl.write_image, np.full(icvl.IMAGE_HW, 310))


def nyu_set(root: Path, training: Change, evaluation: Change) -> None:
    for seed, (split, change) in enumerate({"train": training, "test": evaluation}.items()):
        joints_mm = test_nyu.joints_mm(HANDS, seed)
        change(joints_mm[0])
        with np.errstate(all="ignore"):
            nyu.write_labels(root, split, joints_mm)
        for number in range(1, HANDS + 1):
            path = nyu.image_path(root, split, "depth", number)
            write_once(path, nyu.write_image, np.full(nyu.IMAGE_HW, 750))


@synced_together()
def msra_set(root: Path, training: Change, evaluation: Change) -> None:
    """Tested on P1, trained on all others: with 151 hands more."""
    spoilt = {("P0", "1"): training, ("P1", "1"): evaluation}
    for subject, gesture in itertools.product(msra.SUBJECTS, msra.GESTURES):
        change = spoilt.get((subject, gesture))
        if change is None and (root / subject / gesture).exists():
            continue
        joints_mm = test_msra.joints_mm(HANDS if change else 1, test_msra.seed_of(subject, gesture))
        if change:
            change(joints_mm)
        msra.write_labels(root, subject, gesture, joints_mm)
        for number in range(len(joints_mm)):
            path = msra.image_path(root, subject, gesture, number)
            write_once(path, msra.write_image, np.full(msra.IMAGE_HW, 310))


@dataclass(frozen=True)
class Set:
    write: Callable[[Path, Change, Change], None]
    files: tuple[str, str]  # with the training and test labels that are spoilt
    options: dict  # of `frames`
    tested: str = "test"  # group
    test_images: int = HANDS
    images: int = 2 * HANDS  # of them, labels or views of one
    views: int = 1
    unit: str = "millimetres"


STB_PROTOCOL = {"training": ["B2Random"], "evaluation": ["B1Counting"]}
SETS = {
    "rhd": Set(rhd_set, ("anno_training.pickle", "anno_evaluation.pickle"), {"hands": "dominant"}, unit="metres"),
    "stb": Set(
        stb_set,
        ("B2Random_BB.mat", "B1Counting_BB.mat"),
        {**STB_PROTOCOL, "views": ["left", "right"], "images": True},
        test_images=2 * HANDS,
        images=4 * HANDS,
        views=2,
    ),
    "icvl": Set(icvl_set, ("Training/labels.txt", "Testing/test_seq_1.txt"), {"rotated_copies": False}),
    "nyu": Set(nyu_set, ("train/joint_data.mat", "test/joint_data.mat"), {}),
    "msra": Set(
        msra_set, ("P0/1/joint.txt", "P1/1/joint.txt"), {}, "P1", test_images=16 + HANDS, images=151 + 2 * HANDS
    ),
}
