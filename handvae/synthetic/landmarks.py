"""What each data set calls a hand's joints, on a synthetic hand: points fixed to its bones, camera frame, metres.

STB, ICVL and NYU label points of their own inside the hand. Their places were taken from the real labels' bone lengths
and from the model with which NYU was labelled (ModelFit); no set says where in the flesh its points lie.
"""

import numpy as np

from handvae.base.joints import ROOT
from handvae.synthetic.kinematics import HAND_LENGTH_REFERENCE_M, PALM
from handvae.synthetic.scenes import PlacedHand

# Of a right hand, in hand lengths: x to the thumb, y to the fingers, z out of the palm. Inferred: the point inside the
# flesh that comes nearest to the ratios of the distances root to thumb, index, ... base in STB's real labels (31.0,
# 41.9, 39.1, 38.8, 36.8 mm), within 7 %, and to those of ICVL's palm.
PALM_CENTRE = (0.01, 0.25, 0.03)

# NYU's palm in hand lengths of 187 mm: its model's units are 57.9 mm there. That the two spheres that lie off the axis
# to the same side, PALM_1 and PALM_4, are on the little finger's side is inferred: knuckles are lower there.
NYU_UNIT = 0.0579 / 0.187
NYU_PALM_POINTS = NYU_UNIT * np.array(
    [
        [-0.305, 0.1, 0.064],  # wrist_side_1
        [0.305, 0.1, 0.064],  # wrist_side_2
        [0.0, 1.467, 0.0],
        [-0.41, 1.307, 0.2],
        [0.0, 0.986, 0.0],
        [0.0, 0.0, 0.0],  # wrist
    ]
)


def stb21(hand: PlacedHand) -> np.ndarray:
    """(21, 3) HAND21, the root is the palm's centre."""
    joints_m = hand.joints_m.copy()
    joints_m[ROOT] = _in_palm(hand, PALM_CENTRE)
    return joints_m


def msra21(hand: PlacedHand) -> np.ndarray:
    """(21, 3) HAND21, the root is the wrist."""
    return hand.joints_m.copy()


def icvl16(hand: PlacedHand) -> np.ndarray:
    """(16, 3) ICVL16: the palm's centre and the middle of every segment.

    Inferred: the real labels' bones have the ratios of distances between segments' middles (a hand of 160 mm), not of
    bones between joints. The last segment is the bone's, which ends half a tip radius under the skin.
    """
    chains_m = _chains(hand, inset=0.5)
    middles_m = (chains_m[:, :-1] + chains_m[:, 1:]) / 2
    return np.concatenate([[_in_palm(hand, PALM_CENTRE)], middles_m.reshape(15, 3)])


def nyu36(hand: PlacedHand) -> np.ndarray:
    """(36, 3) NYU36: spheres along every digit from the tip, whose sphere touches the skin, to the base; the palm."""
    base, mid, end, tip = _chains(hand, inset=1.0)[::-1].swapaxes(0, 1)  # little finger first
    digits_m = np.stack([tip, end, (end + mid) / 2, mid, (mid + base) / 2, base], axis=1)
    return np.concatenate([digits_m.reshape(30, 3), _in_palm(hand, NYU_PALM_POINTS)])


def _chains(hand: PlacedHand, inset: float) -> np.ndarray:
    """(5, 4, 3) base, mid, end, tip of the digits, thumb first; the tip is `inset` of its radius under the skin."""
    chains_m = hand.joints_m[1:].reshape(5, 4, 3).copy()
    along = chains_m[:, 3] - chains_m[:, 2]
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    chains_m[:, 3] -= along * inset * hand.radii_m[4::4, None]
    return chains_m


def _in_palm(hand: PlacedHand, points: np.ndarray) -> np.ndarray:
    """(..., 3) in hand lengths of a right hand's own frame -> (..., 3) metres in the camera frame."""
    palm = hand.matrices[PALM]
    return np.asarray(points) * HAND_LENGTH_REFERENCE_M @ palm[:, :3].T + palm[:, 3]
