"""The hands of a sequence: one person's hand before one camera, in a pose, a turn and a position for every frame.

Every frame is drawn from default_rng([*seed, style, number]) by itself, so that it does not depend on how many frames
are asked for or in what order. The real sets are videos, in which a pose changes in about 25 frames; sets that are
hundreds of times smaller would hold too few poses to learn from.
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

ATTEMPTS = 200  # to draw a frame
CENTRE = 0.42  # the point that is placed and about which the hand turns, in hand lengths from the wrist
PALM_TO_CAMERA = np.diag([1.0, -1.0, -1.0])  # fingers up, palm towards the camera
STYLES = ("counting", "random", *GESTURES)  # the position is part of every frame's seed
COUNTING_ORDERS = ((1, 2, 3, 4, 0), (0, 1, 2, 3, 4), (4, 3, 2, 1, 0))  # in which digits are extended, taken in turn
WOBBLE_DEG = np.array([3.0, 1.2, 3.0, 2.0])  # sd of a posed angle from frame to frame


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
class Sequence:
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
        """The hand of a frame, in the first camera's frame."""
        return self.draw(frame)[2]

    def draw(self, frame: int) -> tuple[HandPose, np.ndarray, PlacedHand]:
        """Pose, centre (3,) in metres and hand of a frame: no flesh in flesh, and well in the pictures of all cameras.
        InputError where no attempt gives one."""
        rng = np.random.default_rng([*self.seed, STYLES.index(self.style), frame])
        for _ in range(ATTEMPTS):
            pose = self._draw_pose(rng, frame)
            rotation = rotation_matrix(_draw_turn(rng, self.view)) @ PALM_TO_CAMERA
            centre_m = _draw_centre(rng, self.view)
            wrist_m = centre_m - rotation[:, 1] * CENTRE * self.subject.hand_length_m
            hand = place_hand(self.shape, pose, self.side, rotation, wrist_m)
            if self._fits(pose, hand):
                return pose, centre_m, hand
        raise InputError(f"no place for a hand of {self.subject.hand_length_m} m at {self.view.depth_m} m")

    def _draw_pose(self, rng: np.random.Generator, frame: int) -> HandPose:
        if self.style == "random":
            return sample_pose(rng, self.shape)
        if self.style == "counting":
            order = COUNTING_ORDERS[frame // 6 % len(COUNTING_ORDERS)]
            angles = posed_deg(order[: frame % 6])
        else:
            angles = gesture_deg(self.style)
        angles = angles + WOBBLE_DEG * rng.standard_normal((5, 4))
        wrist = 0.5 * WRIST_SD_DEG * np.clip(rng.standard_normal(2), -2.2, 2.2)
        return HandPose(np.radians(np.clip(angles, LIMITS_DEG[..., 0], LIMITS_DEG[..., 1])), np.radians(wrist))

    def _fits(self, pose: HandPose, hand: PlacedHand) -> bool:
        poses = HandPose(pose.angles_rad[None], pose.wrist_rad[None])
        if overlap_m(self.shape, poses).max() > MAX_OVERLAP_M:
            return False
        view = self.view
        return all(
            in_view(moved(hand, np.array([-offset_m, 0.0, 0.0])), view.camera, view.height, view.width)
            for offset_m in {0.0, view.baseline_m}
        )


@lru_cache(maxsize=64)
def _shape_of(subject: Subject) -> HandShape:
    """Proportions of the subject's own, as in kinematics.sample_shape, and the length asked for."""
    shape = sample_shape(np.random.default_rng([subject.seed, subject.number]))
    lengths_m = shape.lengths_m * (subject.hand_length_m / shape.hand_length_m)
    return HandShape(subject.hand_length_m, lengths_m, shape.thickness)


def _draw_turn(rng: np.random.Generator, view: View) -> np.ndarray:
    """(4,) unit quaternion w, x, y, z from "palm to the camera": a rotation vector uniform in the ball of
    max_angle_deg."""
    direction, radius = rng.standard_normal(3), rng.random() ** (1 / 3)
    half = 0.5 * np.radians(view.max_angle_deg) * radius
    return np.array([np.cos(half), *(np.sin(half) * direction / np.linalg.norm(direction))])


def _draw_centre(rng: np.random.Generator, view: View) -> np.ndarray:
    """(3,) metres in the left camera's frame; the axis lies midway between the two cameras."""
    x, y = rng.uniform(-view.lateral_m, view.lateral_m, 2)
    return np.array([x + view.baseline_m / 2, y, rng.uniform(*view.depth_m)])
