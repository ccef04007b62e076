"""Skeletons by name. Every joint array in the package is ordered by one of these, base to tip.

The 21-joint order serves RHD, STB and MSRA: root first (palm or wrist), then thumb to little finger, base to tip. ICVL
has 16 joints and NYU 36, with no 21-joint equivalent: their sets keep their own order.
"""

from dataclasses import dataclass

from handvae.base.dataset_params import DATASETS

FINGERS = ("thumb", "index", "middle", "ring", "little")


@dataclass(frozen=True)
class Skeleton:
    """Ordered joint names. All else is indices of joints; the last three fields serve the handedness test."""

    name: str
    joints: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]  # (parent, child)
    evaluated: tuple[int, ...]  # the joints that count in an evaluation
    palm_plane: tuple[int, int, int]  # root, base of the index finger, base of the little finger
    bases: tuple[int, ...]  # of the fingers
    tips: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.joints)


HAND21 = (
    "root",
    *("thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip"),
    *(f"{finger}_{joint}" for finger in FINGERS[1:] for joint in ("mcp", "pip", "dip", "tip")),
)

ROOT = HAND21.index("root")
MIDDLE_MCP = HAND21.index("middle_mcp")
MIDDLE_PIP = HAND21.index("middle_pip")
RING_MCP = HAND21.index("ring_mcp")

# (parent, child) for each of the 20 bones: the root to each finger's base, then along the finger
BONES21 = tuple((0 if child % 4 == 1 else child - 1, child) for child in range(1, len(HAND21)))

# The length of this bone (middle finger, MCP to PIP) is the hand's scale: what invariance S divides by (paper 4.3).
SCALE_BONE = (MIDDLE_MCP, MIDDLE_PIP)

ICVL16 = ("palm", *(f"{finger}_{joint}" for finger in FINGERS for joint in ("root", "mid", "tip")))

# NYU's model of spheres: from the little finger to the thumb six along each finger, tip to base, then the palm.
NYU36 = (
    *(f"{finger}_{joint}" for finger in FINGERS[::-1] for joint in ("tip", "dip", "knu2_a", "pip", "knu1_a", "mcp")),
    *("wrist_side_1", "wrist_side_2", "palm_3", "palm_4", "palm_5", "wrist"),
)
NYU_PALM = NYU36.index("palm_3")  # near the knuckles, for all its name: centre of the crop
NYU_EVALUATED = (0, 3, 6, 9, 12, 15, 18, 21, 24, 25, 27, 30, 31, 32)  # the 14 that the literature scores

SKELETONS = {
    "HAND21": Skeleton(
        "HAND21", HAND21, BONES21, tuple(range(21)), palm_plane=(0, 5, 17), bases=(5, 9, 13, 17), tips=(8, 12, 16, 20)
    ),
    "ICVL16": Skeleton(
        "ICVL16",
        ICVL16,
        tuple((0 if child % 3 == 1 else child - 1, child) for child in range(1, 16)),
        tuple(range(16)),
        palm_plane=(0, 4, 13),
        bases=(4, 7, 10, 13),
        tips=(6, 9, 12, 15),
    ),
    "NYU36": Skeleton(
        "NYU36",
        NYU36,
        # a finger's base (5, 11, ...) and the palm's joints (30 to 34) hang on the wrist
        tuple((35 if child % 6 == 5 or child >= 30 else child + 1, child) for child in range(35)),
        NYU_EVALUATED,
        palm_plane=(35, 23, 5),
        bases=(23, 17, 11, 5),
        tips=(18, 12, 6, 0),
    ),
}

# dataset: its skeleton; here and not in its reader, since training needs no reader
SKELETON_OF = {name: dataset.skeleton for name, dataset in DATASETS.items()}

LEFT, RIGHT = 0, 1  # column of the one-hot hand side: left [1, 0], right [0, 1]
