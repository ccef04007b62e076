"""Hands that move: a pose, a turn and a place for every frame of a video sequence.

A sequence is a chain of keys, one every 25 frames, each drawn from default_rng([*seed, style, number]) and from the key
before it. Between keys everything goes from rest to rest. So a frame depends on the motion and its own number alone,
not on how many frames are asked for or in what order; the keys of the last motions used are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from handvae.base.errors import InputError
from handvae.base.joints import FINGERS, LEFT, RIGHT
from handvae.synthetic.kinematics import LIMITS_DEG, WRIST_SD_DEG, HandPose, HandShape, sample_shape
from handvae.synthetic.poses import MAX_OVERLAP_M, overlap_m, sample_pose
from handvae.synthetic.scenes import MARGIN, PlacedHand, cut_in_view, moved, place_hand, project, rotation_matrix

KEY_FRAMES = 25
CHECKED = (0.2, 0.4, 0.6, 0.8, 1.0)  # points of the way to a key at which nothing may collide or leave the picture
ATTEMPTS, FIRST_ATTEMPTS = 24, 200  # to draw a key; then the hand stays where it was
TURN_STEP_DEG, STEP_M = 45.0, 0.05  # from key to key at most: joints then move about as fast as in STB, 2.4 mm a frame
CENTRE = 0.42  # the point that is placed and about which the hand turns, in hand lengths from the wrist
PALM_TO_CAMERA = np.diag([1.0, -1.0, -1.0])  # fingers up, palm towards the camera

# The digits that are extended, in the order of joints.FINGERS. The numbers are those of American Sign Language, where
# 6 to 9 bring the thumb to a finger; the letters are initials of the extended digits, I alone being the letter I. This
# is a reading of the names of MSRA's folders: no source describes them.
GESTURES = {
    "1": "-I---",
    "2": "-IM--",
    "3": "TIM--",
    "4": "-IMRL",
    "5": "TIMRL",
    "6": "-IMR-",
    "7": "-IM-L",
    "8": "-I-RL",
    "9": "--MRL",
    "I": "----L",
    "IP": "-I--L",
    "L": "TI---",
    "MP": "--M-L",
    "RP": "---RL",
    "T": "T----",
    "TIP": "TI--L",
    "Y": "T---L",
}
STYLES = ("counting", "random", *GESTURES)
COUNTING_ORDERS = ((1, 2, 3, 4, 0), (0, 1, 2, 3, 4), (4, 3, 2, 1, 0))  # in which digits are extended, taken in turn

# Degrees, as in kinematics.LIMITS_DEG. A folded thumb lies before the folded fingers, or in the palm if it is free, but
# not when counting, where the next finger would fold into it. A search for the least distance gave those that touch.
EXTENDED_DEG = np.array([[-6, -8, 3, 5], [0, -5, 5, 3], [0, -1, 5, 3], [0, 3, 5, 3], [0, 7, 5, 3]], dtype=float)
FOLDED_DEG = np.array([[22, -16, 38, 50], [70, 0, 93, 61], [74, 0, 97, 64], [75, 0, 97, 64], [74, 0, 92, 61]], float)
THUMB_IN_PALM_DEG = (20, 2, 45, 55)
TOUCHING = {"9": 1, "8": 2, "7": 3, "6": 4}  # gesture: finger that the thumb comes to
TOUCHING_DEG = {
    1: ([14, -12, 19, 40], [63, 0, 51, 34]),
    2: ([25, -3, 33, 15], [59, 0, 55, 36]),
    3: ([35, 11, 35, 26], [56, 0, 56, 37]),
    4: ([35, 22, 55, 52], [69, 0, 58, 38]),
}
WOBBLE_DEG = np.array([3.0, 1.2, 3.0, 2.0])  # sd of a posed angle from key to key


@dataclass(frozen=True)
class Subject:
    """Somebody's hand: always the same for the same seed, number and length (wrist to middle fingertip)."""

    seed: int
    number: int
    hand_length_m: float


@dataclass(frozen=True)
class View:
    """A camera, and where it may see the middle of the hand. All joints lie in its picture, 2 % from the border."""

    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    height: int
    width: int
    depth_m: tuple[float, float]  # of the middle of the hand: fingers reach out of this range
    lateral_m: float  # at most this far from the axis to either side, and up or down
    max_angle_deg: float  # of the hand's turn away from "palm to the camera, fingers up", about any axis; below 180
    baseline_m: float = 0.0  # if not 0, joints lie also in the picture of a second camera so far to the right

    @property
    def camera(self) -> np.ndarray:
        """(3, 3) intrinsics."""
        return np.array(
            [[self.focal_px[0], 0.0, self.centre_px[0]], [0.0, self.focal_px[1], self.centre_px[1]], [0.0, 0.0, 1.0]]
        )


STB_VIEW = View((822.79041, 822.79041), (318.47345, 250.31296), 480, 640, (0.62, 0.70), 0.10, 60.0, 0.120054)
ICVL_VIEW = View((241.42, 241.42), (160.0, 120.0), 240, 320, (0.22, 0.45), 0.10, 60.0)
NYU_VIEW = View((588.036865, 587.075073), (320.0, 240.0), 480, 640, (0.5, 1.0), 0.20, 60.0)
MSRA_VIEW = View((241.42, 241.42), (160.0, 120.0), 240, 320, (0.25, 0.5), 0.12, 70.0)

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
    """One sequence. `seed` names it among all others; `style` is one of STYLES; `side` joints.LEFT or joints.RIGHT."""

    seed: tuple[int, ...]
    style: str
    side: int
    subject: Subject
    view: View

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise InputError(f"style of a motion: expected one of {', '.join(STYLES)}, found {self.style!r}")
        if self.side not in (LEFT, RIGHT):
            raise InputError(f"side of a motion: expected {LEFT} (left) or {RIGHT} (right), found {self.side!r}")

    @property
    def shape(self) -> HandShape:
        return subject_shape(self.subject.seed, self.subject.number, self.subject.hand_length_m)

    def pose(self, frame: int) -> HandPose:
        """Angles (5, 4) and wrist (2,) in radians."""
        return self.at(frame).pose

    def placement(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Rotation (3, 3) of the hand frame and wrist (3,) in metres, for scenes.place_hand."""
        return _placement(self, self.at(frame))

    def hand(self, frame: int) -> PlacedHand:
        return _placed(self, self.at(frame))

    def at(self, frame: int) -> Key:
        if frame < 0:
            raise InputError(f"frame of a motion: expected 0 or more, found {frame}")
        number, rest = divmod(frame, KEY_FRAMES)
        way = rest / KEY_FRAMES
        return _between(_key(self, number), _key(self, number + 1), way * way * (3 - 2 * way))


@lru_cache(maxsize=64)
def subject_shape(seed: int, subject: int, hand_length_m: float) -> HandShape:
    """The hand of a subject: proportions of its own, as in kinematics.sample_shape, and the length asked for."""
    shape = sample_shape(np.random.default_rng([seed, subject]))
    return HandShape(hand_length_m, shape.lengths_m * (hand_length_m / shape.hand_length_m), shape.thickness)


@lru_cache(maxsize=16)
def _keys(motion: Motion) -> list[Key]:
    """The keys found so far: the list grows as later frames are asked for."""
    return []


def _key(motion: Motion, number: int) -> Key:
    keys = _keys(motion)
    while len(keys) <= number:
        keys.append(_draw_key(motion, len(keys), keys[-1] if keys else None))
    return keys[number]


def _draw_key(motion: Motion, number: int, before: Key | None) -> Key:
    """A key that can be reached from the one before it; that one again if none is found."""
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
        raise InputError(f"no place for a hand of {motion.subject.hand_length_m} m in {motion.view}")
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


def posed_deg(extended: Sequence[int]) -> np.ndarray:
    """(5, 4) angles with the given digits (0 thumb to 4 little) extended, the others folded."""
    return np.where(np.isin(range(len(FINGERS)), extended)[:, None], EXTENDED_DEG, FOLDED_DEG)


def gesture_deg(gesture: str) -> np.ndarray:
    """(5, 4) angles of one of GESTURES."""
    letters = GESTURES[gesture]
    angles = posed_deg([digit for digit, letter in enumerate(letters) if letter != "-"])
    if gesture in TOUCHING:
        finger = TOUCHING[gesture]
        angles[0], angles[finger] = TOUCHING_DEG[finger]
    elif letters[:2] == "-I":
        angles[0] = THUMB_IN_PALM_DEG
    return angles


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


def _placement(motion: Motion, key: Key) -> tuple[np.ndarray, np.ndarray]:
    rotation = rotation_matrix(key.turn) @ PALM_TO_CAMERA
    return rotation, key.centre_m - rotation[:, 1] * CENTRE * motion.subject.hand_length_m


def _placed(motion: Motion, key: Key) -> PlacedHand:
    return place_hand(motion.shape, key.pose, motion.side, *_placement(motion, key))


def _clear(motion: Motion, keys: list[Key]) -> bool:
    """No flesh in flesh, and the hand well in the picture, at any of these moments."""
    poses = HandPose(np.stack([k.pose.angles_rad for k in keys]), np.stack([k.pose.wrist_rad for k in keys]))
    if overlap_m(motion.shape, poses).max() > MAX_OVERLAP_M:
        return False
    return all(_in_view(_placed(motion, key), motion.view) for key in keys)


def _in_view(hand: PlacedHand, view: View) -> bool:
    """All joints inside the pictures of all cameras, the forearm's flat end not."""
    lens = np.array([view.width, view.height])
    for offset_m in {0.0, view.baseline_m}:
        seen = moved(hand, np.array([-offset_m, 0.0, 0.0]))
        uv_px = project(seen.joints_m, view.camera)
        inside = (uv_px >= MARGIN * lens).all() and (uv_px <= (1 - MARGIN) * lens - 1).all()
        if not inside or cut_in_view(seen, view.camera, view.height, view.width):
            return False
    return True
