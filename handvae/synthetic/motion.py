"""Hands that move: a pose, a turn and a place for every frame of a video sequence.

A sequence is a chain of keys, one every 25 frames. Each is drawn from default_rng([*seed, style, number]) and from the
key before it; between keys everything goes from rest to rest. So a frame depends on the motion and its own number
alone, not on how many frames are asked for or in what order. The keys of the last motions used are kept.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from handvae.base.errors import InputError
from handvae.datasets import msra, nyu, stb
from handvae.synthetic.gestures import GESTURES, gesture_deg, posed_deg
from handvae.synthetic.kinematics import LIMITS_DEG, WRIST_SD_DEG, HandPose, HandShape, sample_shape
from handvae.synthetic.poses import MAX_OVERLAP_M, overlap_m, sample_pose
from handvae.synthetic.scenes import PlacedHand, in_view, moved, place_hand, rotation_matrix

KEY_FRAMES = 25
CHECKED = (0.2, 0.4, 0.6, 0.8, 1.0)  # shares of the way to a key at which nothing may collide or leave the picture
ATTEMPTS, FIRST_ATTEMPTS = 24, 200  # to draw a key; then the hand stays where it was
TURN_STEP_DEG, STEP_M = 45.0, 0.05  # from key to key at most: joints then move about as fast as in STB, 2.4 mm a frame
CENTRE = 0.42  # the point that is placed and about which the hand turns, in hand lengths from the wrist
PALM_TO_CAMERA = np.diag([1.0, -1.0, -1.0])  # fingers up, palm towards the camera
STYLES = ("counting", "random", *GESTURES)  # the position is part of every key's seed
COUNTING_ORDERS = ((1, 2, 3, 4, 0), (0, 1, 2, 3, 4), (4, 3, 2, 1, 0))  # in which digits are extended, taken in turn
WOBBLE_DEG = np.array([3.0, 1.2, 3.0, 2.0])  # sd of a posed angle from key to key


@dataclass(frozen=True)
class Subject:
    """One person's hand: always the same for the same seed, number and length (wrist to middle fingertip)."""

    seed: int
    number: int
    hand_length_m: float


@dataclass(frozen=True, eq=False)  # by identity, as a cache's key
class View:
    """A camera, and where it may see the middle of the hand. All joints lie in its picture, 2 % from the border."""

    camera: np.ndarray  # (3, 3) intrinsics
    height: int
    width: int
    depth_m: tuple[float, float]  # of the middle of the hand: fingers reach out of this range
    lateral_m: float  # at most this far from the axis to either side, and up or down
    max_angle_deg: float  # of the hand's turn away from "palm to the camera, fingers up", about any axis; below 180
    baseline_m: float = 0.0  # to a second camera on the right, whose picture holds all joints too; 0: there is none


STB_VIEW = View(stb.CAMERA, *stb.IMAGE_HW, (0.62, 0.70), 0.10, 60.0, baseline_m=0.120054)
# poses are drawn with the focal length of ICVL's authors, which is MSRA's; pictures are drawn with icvl.CAMERA
ICVL_VIEW = View(msra.CAMERA, *msra.IMAGE_HW, (0.22, 0.45), 0.10, 60.0)
NYU_VIEW = View(nyu.CAMERA, *nyu.IMAGE_HW, (0.5, 1.0), 0.20, 60.0)
MSRA_VIEW = View(msra.CAMERA, *msra.IMAGE_HW, (0.25, 0.5), 0.12, 70.0)

# Hand lengths that suit the sets. STB, ICVL: the sum of the real labels' bones against this hand's. NYU: the second
# test subject's palm is 0.85 of the first's. MSRA: 0.88 of the side of the protocol's cube, which so holds the hand.
STB_HAND_LENGTH_M, ICVL_HAND_LENGTH_M = 0.160, 0.160
NYU_HAND_LENGTHS_M = (0.187, 0.159)
MSRA_HAND_LENGTHS_M = (0.178, 0.176, 0.174, 0.160, 0.158, 0.156, 0.149, 0.140, 0.131)


@dataclass(frozen=True)
class Key:
    """Everything that moves, at one moment."""

    pose: HandPose
    turn: np.ndarray  # (4,) unit quaternion w, x, y, z with w > 0: from "palm to the camera", in the camera frame
    centre_m: np.ndarray  # (3,) camera frame


@dataclass(frozen=True)
class Motion:
    """One sequence. `seed` tells it from all others; `style` is one of STYLES, `side` joints.LEFT or joints.RIGHT."""

    seed: tuple[int, ...]
    style: str
    side: int
    subject: Subject
    view: View

    @property
    def shape(self) -> HandShape:
        return _shape_of(self.subject)

    def hand(self, frame: int) -> PlacedHand:
        return _placed(self, self.at(frame))

    def at(self, frame: int) -> Key:
        number, rest = divmod(frame, KEY_FRAMES)
        way = rest / KEY_FRAMES
        return _between(_key(self, number), _key(self, number + 1), way * way * (3 - 2 * way))


def motion_step(published_frames: int, frames: int, at_most: int) -> int:
    """How many frames of the motion lie between two of the set: 1 in a set of the published size."""
    return int(np.clip(published_frames // frames, 1, at_most))


@lru_cache(maxsize=64)
def _shape_of(subject: Subject) -> HandShape:
    """Proportions of the subject's own, as in kinematics.sample_shape, and the length asked for."""
    shape = sample_shape(np.random.default_rng([subject.seed, subject.number]))
    lengths_m = shape.lengths_m * (subject.hand_length_m / shape.hand_length_m)
    return HandShape(subject.hand_length_m, lengths_m, shape.thickness)


@lru_cache(maxsize=16)
def _keys(motion: Motion) -> list[Key]:
    """The keys drawn so far: the list grows as later frames are asked for."""
    return []


def _key(motion: Motion, number: int) -> Key:
    keys = _keys(motion)
    while len(keys) <= number:
        keys.append(_draw_key(motion, len(keys), keys[-1] if keys else None))
    return keys[number]


def _draw_key(motion: Motion, number: int, before: Key | None) -> Key:
    """A key that can be reached from the one before it. If no attempt gives one, the hand stays: the same key again."""
    rng = np.random.default_rng([*motion.seed, STYLES.index(motion.style), number])
    for _ in range(ATTEMPTS if before else FIRST_ATTEMPTS):
        pose = _draw_pose(rng, motion, number)
        turn, centre_m = _draw_turn(rng, motion.view), _draw_centre(rng, motion.view)
        if before:
            turn, centre_m = _step(before, turn, centre_m)
        key = Key(pose, turn, centre_m)
        if _clear(motion, [_between(before, key, way) for way in CHECKED] if before else [key]):
            return key
    if before is None:
        raise InputError(f"no place for a hand of {motion.subject.hand_length_m} m at {motion.view.depth_m} m")
    return before


def _draw_pose(rng: np.random.Generator, motion: Motion, number: int) -> HandPose:
    if motion.style == "random":
        return sample_pose(rng, motion.shape)
    if motion.style == "counting":
        order = COUNTING_ORDERS[number // 6 % len(COUNTING_ORDERS)]
        angles = posed_deg(order[: number % 6])
    else:
        angles = gesture_deg(motion.style)
    angles = angles + WOBBLE_DEG * rng.standard_normal((5, 4))
    wrist = 0.5 * WRIST_SD_DEG * np.clip(rng.standard_normal(2), -2.2, 2.2)
    return HandPose(np.radians(np.clip(angles, LIMITS_DEG[..., 0], LIMITS_DEG[..., 1])), np.radians(wrist))


def _draw_turn(rng: np.random.Generator, view: View) -> np.ndarray:
    """(4,) quaternion: a rotation vector uniform in the ball of max_angle_deg."""
    direction, radius = rng.standard_normal(3), rng.random() ** (1 / 3)
    half = 0.5 * np.radians(view.max_angle_deg) * radius
    return np.array([np.cos(half), *(np.sin(half) * direction / np.linalg.norm(direction))])


def _draw_centre(rng: np.random.Generator, view: View) -> np.ndarray:
    """(3,) metres in the left camera's frame; the axis lies midway between the two cameras."""
    x, y = rng.uniform(-view.lateral_m, view.lateral_m, 2)
    return np.array([x + view.baseline_m / 2, y, rng.uniform(*view.depth_m)])


def _step(before: Key, turn: np.ndarray, centre_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From the key before towards a turn and a place, as far as the speed allows."""
    angle = 2 * np.arccos(np.clip(before.turn @ turn, -1, 1))
    away_m = centre_m - before.centre_m
    part = min(1, np.radians(TURN_STEP_DEG) / max(angle, 1e-9))
    return _slerp(before.turn, turn, part), before.centre_m + away_m * min(1, STEP_M / np.linalg.norm(away_m))


def _slerp(start: np.ndarray, end: np.ndarray, part: float) -> np.ndarray:
    """Quaternions near 1 form a convex cap, so turns between two allowed ones are allowed."""
    angle = np.arccos(np.clip(start @ end, -1, 1))
    if angle < 1e-6:
        return start
    return (np.sin((1 - part) * angle) * start + np.sin(part * angle) * end) / np.sin(angle)


def _between(start: Key, end: Key, part: float) -> Key:
    def mix(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a + part * (b - a)

    pose = HandPose(mix(start.pose.angles_rad, end.pose.angles_rad), mix(start.pose.wrist_rad, end.pose.wrist_rad))
    return Key(pose, _slerp(start.turn, end.turn, part), mix(start.centre_m, end.centre_m))


def _placed(motion: Motion, key: Key) -> PlacedHand:
    rotation = rotation_matrix(key.turn) @ PALM_TO_CAMERA
    wrist_m = key.centre_m - rotation[:, 1] * CENTRE * motion.subject.hand_length_m
    return place_hand(motion.shape, key.pose, motion.side, rotation, wrist_m)


def _clear(motion: Motion, keys: list[Key]) -> bool:
    """No flesh in flesh, and the hand well in the pictures of all cameras, at any of these moments."""
    poses = HandPose(np.stack([key.pose.angles_rad for key in keys]), np.stack([key.pose.wrist_rad for key in keys]))
    if overlap_m(motion.shape, poses).max() > MAX_OVERLAP_M:
        return False
    view = motion.view
    return all(
        in_view(moved(_placed(motion, key), np.array([-offset_m, 0.0, 0.0])), view.camera, view.height, view.width)
        for key in keys
        for offset_m in {0.0, view.baseline_m}
    )
