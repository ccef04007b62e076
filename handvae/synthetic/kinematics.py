"""The hand as a kinematic tree of 17 bones: shapes, poses inside joint limits, forward kinematics. Metres and radians.

The model is a right hand in its own frame: origin at the wrist, x radial (to the thumb), y distal, z palmar.
A left hand is its mirror image, diag(-1, 1, 1). Bones: 0 palm, 1 + 3 * digit + segment (thumb to little), 16 forearm.
"""

from dataclasses import dataclass

import numpy as np

PALM, FOREARM, BONES = 0, 16, 17
HAND_LENGTH_REFERENCE_M = 0.187  # of the template mesh: wrist to middle fingertip

# Base joints and segment lengths in hand lengths, digits thumb to little. Proportions after Buchholz et al. 1992; the
# last segments are longer than the bone because the tip joint lies on the skin.
BASE = np.array(
    [[0.110, 0.120, 0.055], [0.138, 0.452, 0.012], [0.030, 0.462, 0.0], [-0.070, 0.432, 0.012], [-0.155, 0.380, 0.034]]
)
LENGTHS = np.array(
    [[0.251, 0.186, 0.160], [0.240, 0.145, 0.117], [0.262, 0.165, 0.122], [0.244, 0.158, 0.120], [0.195, 0.113, 0.108]]
)
# Radii at base, mid, end and tip joints at the reference hand length.
RADII_M = 1e-3 * np.array(
    [[13.5, 11.2, 10.0, 8.0], [11.0, 9.3, 7.9, 6.4], [11.2, 9.5, 8.0, 6.6], [10.6, 9.0, 7.6, 6.3], [9.6, 8.0, 6.8, 5.6]]
)
WRIST_RADIUS_M, THENAR_RADIUS_M = 0.024, 0.018  # over the wrist and over the thumb's base, where flesh is deep

# [digit, angle, low/high]; angles: base flexion, base abduction (positive to the ulnar side), mid flexion, end flexion.
LIMITS_DEG = np.array(
    [
        [[-20, 35], [-28, 22], [-5, 55], [-12, 75]],
        [[-20, 88], [-15, 15], [0, 105], [-3, 75]],
        [[-20, 90], [-10, 10], [0, 108], [-3, 78]],
        [[-20, 90], [-12, 12], [0, 110], [-3, 78]],
        [[-20, 92], [-18, 18], [0, 105], [-3, 78]],
    ],
    dtype=float,
)
# flexion, deviation: a nuisance of the forearm, not one of the 26 degrees of freedom
WRIST_SD_DEG = np.array([18.0, 8.0])
REST_DEG = np.array([[-8, -6, 8, 8], [10, -8, 14, 9], [10, 0, 14, 9], [10, 7, 14, 9], [10, 14, 14, 9]], dtype=float)

FAN_DEG = np.array([-5.0, 0.0, 5.0, 11.0])  # of the four fingers
ROLL_DEG = np.array([8.0, 0.0, -8.0, -16.0])  # makes flexed fingers converge on the scaphoid
THUMB_AXIS, THUMB_PAD = np.array([0.60, 0.72, 0.34]), np.array([-0.70, 0.0, 0.72])
TWIST = np.array([-0.45, 0.0, 0.0, 0.0, 0.0])  # pronation of the thumb that comes with its flexion


@dataclass(frozen=True)
class HandShape:
    hand_length_m: float
    lengths_m: np.ndarray  # (5, 3) segments, thumb to little, base to tip
    thickness: float  # 1 = as thick as usual for this hand length

    @property
    def radius_scale(self) -> float:
        return self.hand_length_m / HAND_LENGTH_REFERENCE_M * self.thickness

    @property
    def joint_radii_m(self) -> np.ndarray:
        """(21,) radius of the flesh around each joint, HAND21 order."""
        return np.concatenate([[WRIST_RADIUS_M, THENAR_RADIUS_M], RADII_M.ravel()[1:]]) * self.radius_scale


@dataclass(frozen=True)
class HandPose:
    angles_rad: np.ndarray  # (..., 5, 4) as in LIMITS_DEG
    wrist_rad: np.ndarray  # (..., 2) flexion and deviation of the forearm


@dataclass(frozen=True)
class Skeleton:
    rotations: np.ndarray  # (..., 17, 3, 3) of the bones; column 1 runs along the bone
    origins_m: np.ndarray  # (..., 17, 3)
    joints_m: np.ndarray  # (..., 21, 3) HAND21 order, the root is the wrist


REFERENCE_SHAPE = HandShape(HAND_LENGTH_REFERENCE_M, LENGTHS * HAND_LENGTH_REFERENCE_M, 1.0)
REST_POSE = HandPose(np.radians(REST_DEG), np.zeros(2))


def sample_shape(rng: np.random.Generator) -> HandShape:
    """Adult hands: length 187 +- 12 mm, fingers and bones +- 3 % each, thickness +- 6 %."""
    hand_length_m = float(np.clip(rng.normal(0.187, 0.012), 0.155, 0.218))
    finger, bone = rng.normal(1.0, 0.03, (5, 1)), rng.normal(1.0, 0.03, (5, 3))
    thickness = float(np.clip(rng.normal(1.0, 0.06), 0.82, 1.18))
    return HandShape(hand_length_m, LENGTHS * hand_length_m * finger * bone, thickness)


def forward_kinematics(shape: HandShape, pose: HandPose) -> Skeleton:
    """Bones and joints of a right hand in the hand frame, for any leading batch dimensions of the pose."""
    angles = pose.angles_rad
    flex, abduction = angles[..., 0], angles[..., 1]
    base = _BASE_ROTATIONS @ _about(2, abduction) @ _about(0, flex) @ _about(1, TWIST * flex)
    mid = base @ _about(0, angles[..., 2])
    end = mid @ _about(0, angles[..., 3])
    digits = np.stack([base, mid, end], axis=-3)  # (..., 5, 3, 3, 3)
    steps_m = digits[..., 1] * shape.lengths_m[..., None]  # (..., 5, 3, 3)
    start_m = np.broadcast_to(BASE * shape.hand_length_m, steps_m.shape[:-2] + (3,))
    chain_m = np.concatenate([start_m[..., None, :], start_m[..., None, :] + np.cumsum(steps_m, axis=-2)], axis=-2)
    batch = angles.shape[:-2]
    forearm = _about(0, pose.wrist_rad[..., 0]) @ _about(2, pose.wrist_rad[..., 1])
    palm = np.broadcast_to(np.eye(3), (*batch, 1, 3, 3))
    wrist_m = np.zeros((*batch, 1, 3))
    return Skeleton(
        np.concatenate([palm, digits.reshape(*batch, 15, 3, 3), forearm[..., None, :, :]], axis=-3),
        np.concatenate([wrist_m, chain_m[..., :3, :].reshape(*batch, 15, 3), wrist_m], axis=-2),
        np.concatenate([wrist_m, chain_m.reshape(*batch, 20, 3)], axis=-2),
    )


def bone_matrices(shape: HandShape, skeleton: Skeleton) -> np.ndarray:
    """(..., 17, 3, 4) affine maps from the template's rest pose to this shape and pose: turn, stretch, turn back."""
    length = shape.hand_length_m / HAND_LENGTH_REFERENCE_M
    scale = np.full((BONES, 3), shape.radius_scale)
    scale[1:16, 1] = (shape.lengths_m / REFERENCE_SHAPE.lengths_m).ravel()
    scale[PALM, :2] = length  # the knuckles sit where the palm's width puts them
    scale[FOREARM, 1] = length
    linear = (skeleton.rotations * scale[:, None, :]) @ np.swapaxes(REST.rotations, -1, -2)
    moved = (linear @ REST.origins_m[..., None])[..., 0]
    return np.concatenate([linear, (skeleton.origins_m - moved)[..., None]], axis=-1)


def _about(axis: int, angle_rad: np.ndarray) -> np.ndarray:
    """(..., 3, 3) right-handed rotations about a coordinate axis."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    rotation = np.zeros((*np.shape(angle_rad), 3, 3))
    rotation[..., axis, axis] = 1
    rotation[..., first, first] = rotation[..., second, second] = cos
    rotation[..., second, first], rotation[..., first, second] = sin, -sin
    return rotation


def _base_rotations() -> np.ndarray:
    y = THUMB_AXIS / np.linalg.norm(THUMB_AXIS)
    z = THUMB_PAD - y * (THUMB_PAD @ y)
    z /= np.linalg.norm(z)
    thumb = np.stack([np.cross(y, z), y, z], axis=1)
    fingers = _about(2, np.radians(FAN_DEG)) @ _about(1, np.radians(ROLL_DEG))
    return np.concatenate([thumb[None], fingers])


_BASE_ROTATIONS = _base_rotations()
REST = forward_kinematics(REFERENCE_SHAPE, REST_POSE)
