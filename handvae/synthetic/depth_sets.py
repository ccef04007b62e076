"""The synthetic hand as the three depth sets: what the camera of ICVL, NYU or MSRA sees in a frame, and its files."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from handvae.base.geometry import project
from handvae.base.joints import LEFT, MIDDLE_MCP, RIGHT, ROOT
from handvae.datasets import icvl, msra, nyu
from handvae.synthetic import landmarks, sensor, sequences
from handvae.synthetic.colour_sets import rows_by_part
from handvae.synthetic.scenes import PlacedHand, render_depth
from handvae.synthetic.sequences import Sequence, Subject, View

# keep the sets' random numbers apart
ICVL_SEED, NYU_SEED, MSRA_SEED = 3, 4, 5
FLYING_MM = 20.0  # pixels of MSRA that are farther than this from the hand are removed
ARM_M = 0.035  # how much of the arm is seen below the wrist of MSRA's hands
BEHIND_HANDS_M = 0.12  # from the farthest centre of a hand to where things may stand behind all hands of a sequence

# Real training images come with fourteen turned copies; here with two. Folders are named by the angle, "-" is the dot.
ICVL_ANGLES = {"45": 45.0, "112-5": 112.5}
NYU_TURNS_DEG = (0.0, 35.0, -35.0)  # of the three views, about an upright axis 0.75 m before the first camera


def icvl_frames(sizes: dict[str, int]) -> list[tuple[str, int]]:
    sessions = icvl.SESSIONS[: sizes["training"]]
    per_session = [len(part) for part in np.array_split(np.arange(sizes["training"]), len(sessions))]
    first = round(sizes["evaluation"] * 702 / icvl.PUBLISHED_TEST)
    tests = zip(icvl.TEST_SEQUENCES, (first, sizes["evaluation"] - first), strict=True)
    parts = [*zip(sessions, per_session, strict=True), *tests]
    return [(part, number) for part, count in parts for number in range(count)]


def render_icvl(root: Path, frame: tuple[str, int], seed: int, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """One frame of a session, with its turned copies, or of a test sequence. Every part has a subject of its own."""
    part, number = frame
    order = (*icvl.SESSIONS, *icvl.TEST_SEQUENCES).index(part)
    lengths_m = sequences.ICVL_HAND_LENGTH_M * np.linspace(0.92, 1.08, len(icvl.SESSIONS) + 2)
    length_m = float(np.random.default_rng([seed, ICVL_SEED]).permutation(lengths_m)[order])
    subject, seeds = Subject(seed, 100 * ICVL_SEED + order, length_m), (seed, ICVL_SEED, order)
    hand = Sequence(seeds, "random", LEFT, subject, sequences.ICVL_VIEW).hand(number)
    depth_m = np.minimum(render_depth(hand, icvl.CAMERA, *icvl.IMAGE_HW), _backdrop_m(seeds, sequences.ICVL_VIEW))
    depth_mm = sensor.measure(depth_m, np.random.default_rng([*seeds, number]), "tof")
    testing = part in icvl.TEST_SEQUENCES
    images = root / ("Testing" if testing else "Training") / "Depth"
    icvl.write_image(images / part / icvl.image_name(number), depth_mm)
    for angle, degrees in ({} if testing else ICVL_ANGLES).items():
        icvl.write_image(images / angle / part / icvl.image_name(number), _turned_image(depth_mm, degrees))
    joints_mm = 1000.0 * landmarks.icvl16(hand)
    return {"uvd": np.concatenate([project(joints_mm, icvl.CAMERA), joints_mm[:, 2:]], axis=1)}


def write_icvl_labels(root: Path, frames: list[tuple[str, int]], labels: dict[str, np.ndarray]) -> None:
    """The turned copies of a session come before its originals, as in the real file."""
    paths, uvd, rows = [], [], rows_by_part(frames)
    for session in icvl.SESSIONS:
        for angle, degrees in (*ICVL_ANGLES.items(), ("", 0.0)):
            paths += [str(Path(angle, session, icvl.image_name(frames[row][1]))) for row in rows[session]]
            uvd += [_turned_labels(labels["uvd"][row], degrees) for row in rows[session]]
    icvl.write_labels(root / "Training" / "labels.txt", paths, np.array(uvd))
    for sequence in icvl.TEST_SEQUENCES:
        paths = [f"{sequence}/{icvl.image_name(frames[row][1])}" for row in rows[sequence]]
        icvl.write_labels(root / "Testing" / f"{sequence}.txt", paths, labels["uvd"][rows[sequence]], " \r\r\n")


def nyu_frames(sizes: dict[str, int]) -> list[tuple[str, int]]:
    counts = {"train": sizes["training"], "test": sizes["evaluation"]}
    return [(split, number) for split, count in counts.items() for number in range(1, count + 1)]


def render_nyu(root: Path, frame: tuple[str, int], seed: int, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """One frame of view 1, with the hand alone beside it. The second test subject has a smaller hand."""
    split, number = frame
    count = sizes["training" if split == "train" else "evaluation"]
    person = 0 if number <= nyu.first_subject_frames(split, count) else 1
    subject = Subject(seed, 100 * NYU_SEED + person, sequences.NYU_HAND_LENGTHS_M[person])
    seeds = (seed, NYU_SEED, int(split == "test"), person)
    hand = Sequence(seeds, "random", RIGHT, subject, sequences.NYU_VIEW).hand(number)
    hand_m = render_depth(hand, nyu.CAMERA, *nyu.IMAGE_HW)
    backdrop_m = _backdrop_m(seeds, sequences.NYU_VIEW)
    rng = np.random.default_rng([*seeds, number])
    depth_mm = sensor.measure(np.minimum(hand_m, backdrop_m), rng, "structured")
    nyu.write_image(nyu.image_path(root, split, "depth", number), depth_mm)
    nyu.write_image(nyu.image_path(root, split, "synthdepth", number), np.where(np.isfinite(hand_m), 1000 * hand_m, 0))
    return {"joints_mm": 1000.0 * landmarks.nyu36(hand)}


def write_nyu_labels(root: Path, frames: list[tuple[str, int]], labels: dict[str, np.ndarray]) -> None:
    rows = rows_by_part(frames)
    for split in nyu.SPLITS:
        views_mm = [_turned_view(labels["joints_mm"][rows[split]], degrees) for degrees in NYU_TURNS_DEG]
        nyu.write_labels(root, split, np.stack(views_mm))


def msra_frames(sizes: dict[str, int]) -> list[tuple[str, int]]:
    parts = [f"{subject}/{gesture}" for subject in msra.SUBJECTS for gesture in msra.GESTURES]
    return [(part, number) for part in parts for number in range(sizes["gesture"])]


def render_msra(root: Path, frame: tuple[str, int], seed: int, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """One frame of a subject's gesture: the hand cut out, nothing behind it."""
    (subject_name, gesture), number = frame[0].split("/"), frame[1]
    person = msra.SUBJECTS.index(subject_name)
    subject = Subject(seed, 100 * MSRA_SEED + person, sequences.MSRA_HAND_LENGTHS_M[person])
    seeds = (seed, MSRA_SEED, person, msra.GESTURES.index(gesture))
    hand = Sequence(seeds, gesture, RIGHT, subject, sequences.MSRA_VIEW).hand(number)
    hand_m = _without_arm(render_depth(hand, msra.CAMERA, *msra.IMAGE_HW), hand, msra.CAMERA)
    depth_mm = sensor.measure(hand_m, np.random.default_rng([*seeds, number]), "tof")
    depth_mm *= np.abs(depth_mm - 1000 * hand_m) < FLYING_MM  # the real set is cut out along the hand
    msra.write_image(msra.image_path(root, subject_name, gesture, number), depth_mm)
    return {"joints_mm": 1000.0 * landmarks.msra21(hand)}


def write_msra_labels(root: Path, frames: list[tuple[str, int]], labels: dict[str, np.ndarray]) -> None:
    for part, rows in rows_by_part(frames).items():
        msra.write_labels(root, *part.split("/"), labels["joints_mm"][rows])


def _without_arm(depth_m: np.ndarray, hand: PlacedHand, camera: np.ndarray) -> np.ndarray:
    """(H, W), inf where the arm is seen: the real set's hands are cut out near the wrist."""
    height, width = depth_m.shape
    x, y = (np.arange(width) - camera[0, 2]) / camera[0, 0], (np.arange(height)[:, None] - camera[1, 2]) / camera[1, 1]
    wrist_m, to_fingers = hand.joints_m[ROOT], hand.joints_m[MIDDLE_MCP] - hand.joints_m[ROOT]
    along = to_fingers / np.linalg.norm(to_fingers)
    # a pixel's point is its ray times its depth: how far beyond the wrist, towards the fingers
    beyond_m = (along[0] * x + along[1] * y + along[2]) * np.where(np.isfinite(depth_m), depth_m, 0) - along @ wrist_m
    return np.where(beyond_m > -ARM_M, depth_m, np.inf).astype(np.float32)


def _turned_labels(uvd: np.ndarray, degrees: float) -> np.ndarray:
    """(16, 3) u, v turned about the image's principal point, clockwise as one sees it; z stays."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    offset = uvd[:, :2] - icvl.CAMERA[:2, 2]
    turned = offset @ np.array([[cos, sin], [-sin, cos]])
    return np.concatenate([turned + icvl.CAMERA[:2, 2], uvd[:, 2:]], axis=1)


def _turned_image(depth_mm: np.ndarray, degrees: float) -> np.ndarray:
    """(240, 320) turned as `_turned_labels` turns, nearest neighbour, 0 where the camera saw nothing."""
    inside, pixel = _pixels_turned(degrees)
    return np.where(inside, depth_mm.ravel()[pixel], 0)


@lru_cache(maxsize=2)
def _pixels_turned(degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """(240, 320) of the turned image: whether the camera saw it, and the flat pixel that it comes from."""
    height, width = icvl.IMAGE_HW
    rows, columns = np.indices((height, width))
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    u, v = columns - icvl.CAMERA[0, 2], rows - icvl.CAMERA[1, 2]
    from_u = np.rint(cos * u + sin * v + icvl.CAMERA[0, 2]).astype(int)
    from_v = np.rint(-sin * u + cos * v + icvl.CAMERA[1, 2]).astype(int)
    inside = (from_u >= 0) & (from_u < width) & (from_v >= 0) & (from_v < height)
    return inside, from_v.clip(0, height - 1) * width + from_u.clip(0, width - 1)


@lru_cache(maxsize=2)
def _backdrop_m(seeds: tuple[int, ...], view: View) -> np.ndarray:
    """(H, W) metres, the same for all frames of a sequence; kept for the next frame."""
    depth_m = sensor.backdrop_m(np.random.default_rng(seeds), view.depth_m[1] + BEHIND_HANDS_M, view.height, view.width)
    depth_m.setflags(write=False)
    return depth_m


def _turned_view(joints_mm: np.ndarray, degrees: float) -> np.ndarray:
    cos, sin, pivot_mm = np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), np.array([0.0, 0.0, 750.0])
    return (joints_mm - pivot_mm) @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]]) + pivot_mm
