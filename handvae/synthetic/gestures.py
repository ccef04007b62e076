"""Poses with a meaning: digits extended for counting, and the gestures of MSRA."""

from collections.abc import Sequence

import numpy as np

from handvae.base.joints import FINGERS

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

# Degrees, as in kinematics.LIMITS_DEG. A folded thumb lies before the folded fingers, or in the palm if it is free, but
# not when counting, where the next finger would fold into it. The touching poses come from a search for the least
# distance between thumb and finger.
EXTENDED_DEG = np.array([[-6, -8, 3, 5], [0, -5, 5, 3], [0, -1, 5, 3], [0, 3, 5, 3], [0, 7, 5, 3]], dtype=float)
FOLDED_DEG = np.array([[22, -16, 38, 50], [70, 0, 93, 61], [74, 0, 97, 64], [75, 0, 97, 64], [74, 0, 92, 61]], float)
THUMB_IN_PALM_DEG = (20, 2, 45, 55)
TOUCHED_FINGER = {"9": 1, "8": 2, "7": 3, "6": 4}  # gesture: finger that the thumb touches
TOUCHING_DEG = {  # finger: angles of the thumb, angles of the finger
    1: ([14, -12, 19, 40], [63, 0, 51, 34]),
    2: ([25, -3, 33, 15], [59, 0, 55, 36]),
    3: ([35, 11, 35, 26], [56, 0, 56, 37]),
    4: ([35, 22, 55, 52], [69, 0, 58, 38]),
}


def posed_deg(extended: Sequence[int]) -> np.ndarray:
    """(5, 4) angles with the given digits (0 thumb to 4 little) extended, the others folded."""
    return np.where(np.isin(range(len(FINGERS)), extended)[:, None], EXTENDED_DEG, FOLDED_DEG)


def gesture_deg(gesture: str) -> np.ndarray:
    """(5, 4) angles of one of GESTURES."""
    letters = GESTURES[gesture]
    angles = posed_deg([digit for digit, letter in enumerate(letters) if letter != "-"])
    if gesture in TOUCHED_FINGER:
        finger = TOUCHED_FINGER[gesture]
        angles[0], angles[finger] = TOUCHING_DEG[finger]
    elif letters[:2] == "-I":
        angles[0] = THUMB_IN_PALM_DEG
    return angles
