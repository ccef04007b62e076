"""Skeletons by name. Every joint array in the package is ordered by one of these tuples, base to tip.

The 21-joint order serves RHD, STB and MSRA: root first (palm or wrist), then thumb to little finger, base to tip.
"""

FINGERS = ("thumb", "index", "middle", "ring", "little")

HAND21 = (
    "root",
    *("thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip"),
    *(f"{finger}_{joint}" for finger in FINGERS[1:] for joint in ("mcp", "pip", "dip", "tip")),
)

ROOT = HAND21.index("root")
MIDDLE_MCP = HAND21.index("middle_mcp")
MIDDLE_PIP = HAND21.index("middle_pip")

# (parent, child) for each of the 20 bones: the root to each finger's base, then along the finger
BONES21 = tuple((0 if child % 4 == 1 else child - 1, child) for child in range(1, len(HAND21)))

# The length of this bone (middle finger, MCP to PIP) is the hand's scale: what invariance S divides by (paper 4.3).
SCALE_BONE = (MIDDLE_MCP, MIDDLE_PIP)

LEFT, RIGHT = 0, 1  # column of the one-hot hand side: left [1, 0], right [0, 1]
