"""Random hand poses: six families, couplings between joints, joint limits, and no finger inside another or the palm."""

import numpy as np

from handvae.synthetic.kinematics import (
    BASE,
    LIMITS_DEG,
    RADII_M,
    WRIST_SD_DEG,
    HandPose,
    HandShape,
    forward_kinematics,
)

CANDIDATES = 5
MAX_OVERLAP_M = 0.004

# family: probability, curl mean, sd common to the hand, sd per finger, spread mean, thumb mean and sd in degrees
FAMILIES = {
    "open": (0.18, 0.04, 0.05, 0.04, 0.60, (-6, -8, 3, 5), (6, 8, 6, 8)),
    "relaxed": (0.27, 0.33, 0.12, 0.09, 0.15, (5, -10, 10, 15), (7, 7, 8, 10)),
    "fist": (0.12, 0.92, 0.05, 0.03, -0.05, (20, -14, 30, 40), (8, 6, 10, 14)),
    "independent": (0.20, 0.45, 0.03, 0.05, 0.25, (8, -6, 20, 25), (12, 10, 16, 20)),
    "gaussian": (0.15, 0.45, 0.26, 0.15, 0.15, (6, -6, 20, 25), (12, 10, 15, 20)),
    "pinch": (0.08, 0.32, 0.12, 0.08, 0.10, (20, -17, 16, 28), (5, 4, 7, 9)),
}
_TABLE = np.array([[row[0], *row[1:5], *row[5], *row[6]] for row in FAMILIES.values()], dtype=float)
_INDEPENDENT, _PINCH = list(FAMILIES).index("independent"), list(FAMILIES).index("pinch")
_ULNAR_CURL = np.array([-0.03, 0.0, 0.03, 0.05])  # the ulnar fingers of a hand at ease curl a little more
_MCP_GAIN_DEG, _PIP_GAIN_DEG = np.array([78.0, 82.0, 84.0, 84.0]), np.array([98.0, 102.0, 102.0, 96.0])
_SPREAD_DEG = np.array([-11.0, -1.0, 6.0, 13.0])


def sample_pose(rng: np.random.Generator, shape: HandShape) -> HandPose:
    """One pose (5, 4), (2,) inside the limits whose flesh overlaps by at most 4 mm; draws five candidates at a time."""
    while True:
        pose = _candidates(rng)
        accepted = np.flatnonzero(overlap_m(shape, pose) <= MAX_OVERLAP_M)
        if len(accepted):
            return HandPose(pose.angles_rad[accepted[0]], pose.wrist_rad[accepted[0]])


def _candidates(rng: np.random.Generator) -> HandPose:
    """(5, 5, 4) angles. The order of the draws is frozen: a change changes every data set (see generate.VERSION)."""
    k = CANDIDATES
    family = rng.choice(len(_TABLE), size=k, p=_TABLE[:, 0])
    uniform, normal = rng.random((k, 8)), rng.standard_normal((k, 32))
    row = _TABLE[family]
    curl = row[:, 1:2] + row[:, 2:3] * normal[:, :1] + _ULNAR_CURL + row[:, 3:4] * normal[:, 1:5]
    flexed = (uniform[:, :4] < 0.5) * 0.86 + 0.03 + 0.05 * normal[:, 1:5]
    curl = np.where((family == _INDEPENDENT)[:, None], flexed, curl)
    partner = (uniform[:, 4] < 0.3).astype(int)  # a pinch closes on the index finger, or on the middle one
    pinching = (family == _PINCH)[:, None] & (np.arange(4) == partner[:, None])
    curl = np.where(pinching, 0.56 + 0.06 * normal[:, 1:5], curl)
    curl = np.clip(curl, 0, 1.08)
    hook = 0.45 * normal[:, 5:6] * (1 - np.abs(2 * np.clip(curl, 0, 1) - 1))  # trades MCP against PIP flexion
    angles = np.zeros((k, 5, 4))
    angles[:, 1:, 0] = _MCP_GAIN_DEG * (curl - 0.7 * hook) - 4 + 7 * normal[:, 6:10]
    angles[:, 1:, 2] = np.abs(_PIP_GAIN_DEG * (curl + 0.7 * hook) + 4 * normal[:, 10:14])
    angles[:, 1:, 3] = 0.66 * angles[:, 1:, 2] + 5 * normal[:, 14:18]  # Lin, Wu, Huang 2000: DIP = 2/3 PIP
    spread = np.clip(row[:, 4:5] + 0.3 * normal[:, 18:19], -0.4, 1.0)
    loose = np.clip(1 - angles[:, 1:, 0] / 80, 0.05, 1)  # flexion tightens the collateral ligaments
    angles[:, 1:, 1] = (_SPREAD_DEG * spread + 2.0 * normal[:, 19:23]) * loose
    angles[:, 0] = row[:, 5:9] + row[:, 9:13] * normal[:, 23:27]
    angles = np.clip(angles, LIMITS_DEG[..., 0], LIMITS_DEG[..., 1])
    return HandPose(np.radians(angles), np.radians(np.clip(normal[:, 27:29], -2.2, 2.2) * WRIST_SD_DEG))


def overlap_m(shape: HandShape, pose: HandPose) -> np.ndarray:
    """(K,) deepest overlap of any two spheres of flesh that are not neighbours, radii taken at 95 %."""
    skeleton = forward_kinematics(shape, pose)
    origins, along = skeleton.origins_m[:, 1:16].reshape(-1, 5, 3, 1, 3), skeleton.rotations[:, 1:16, :, 1]
    steps = (_FRACTIONS * shape.lengths_m[..., None])[..., None]  # (5, 3, 7, 1)
    digits = origins + steps * along.reshape(-1, 5, 3, 1, 3)
    palm = np.broadcast_to(_PALM_CENTRES * shape.hand_length_m, (len(digits), *_PALM_CENTRES.shape))
    centres = np.concatenate([digits.reshape(len(digits), -1, 3), palm], axis=1)
    square = np.einsum("kpi,kpi->kp", centres, centres)
    gap = square[:, :, None] + square[:, None, :] - 2 * centres @ centres.transpose(0, 2, 1)
    radii = 0.95 * _SPHERE_RADII_M * shape.radius_scale
    overlap = radii[:, None] + radii - np.sqrt(np.maximum(gap, 0))
    return np.where(_CHECKED, overlap, -np.inf).max(axis=(1, 2))


def _spheres() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Fractions (5, 3, 7) along segments, palm centres in hand lengths (P, 3), radii (105 + P,), which pairs count."""
    fractions = np.tile(np.linspace(0, 1, 7), (5, 3, 1))
    fractions[:, 2] *= 0.9  # the last sphere ends at the fingertip
    radii = RADII_M[:, :-1, None] * (1 - fractions) + RADII_M[:, 1:, None] * fractions
    metacarpals = np.stack([BASE[1:] * f for f in (0.3, 0.45, 0.6, 0.75, 0.88)], axis=1).reshape(-1, 3)
    digit = np.concatenate([np.repeat(np.arange(5), 21), np.full(len(metacarpals), 9)])
    near_palm = np.zeros((5, 3, 7), bool)  # flesh that grows out of the palm: webs, the thumb's metacarpal
    near_palm[:, 0, :4] = True
    near_palm[0, 0] = True
    near_palm[0, 1, :2] = True
    near = np.concatenate([near_palm.ravel(), np.ones(len(metacarpals), bool)])
    checked = (digit[:, None] != digit) & ~(near[:, None] & near)
    all_radii_m = np.concatenate([radii.ravel(), np.full(len(metacarpals), 0.0105)])
    return fractions, metacarpals, all_radii_m, checked


_FRACTIONS, _PALM_CENTRES, _SPHERE_RADII_M, _CHECKED = _spheres()
