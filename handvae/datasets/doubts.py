"""Labels that no hand before a camera can have: which, why, and whether they can be tested on all the same.

A wrong label among many right ones is named, counted and not trained on. A file of wrong ones is an error.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handvae.base.errors import InputError

REACH_MM = (20.0, 250.0)  # from a hand's centre to the farthest of its joints: an adult's reaches some 120 mm
DEPTH_MM = (10.0, 5000.0)  # of any joint
SHORTEST_BONE_MM = 1.0  # of the bone that invariance S divides by
FARTHEST_PX = 1e6  # from the image's corner: beyond it a number is no pixel
TYPICAL_REACH_M = 0.12
UNITS_A_METRE = {"metres": 1, "centimetres": 100, "millimetres": 1000}
EXAMPLES = 3  # doubts that a message quotes


@dataclass(frozen=True)
class Doubt:
    """What is wrong with the label of one hand, which is then not trained on."""

    where: str  # "labels.txt: line 7"
    reason: str  # "expected ..., found ..."
    testable: bool  # False: the hand is left out, because no crop can be cut around it or its error means nothing

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


@dataclass(frozen=True)
class Check:
    """What is expected of each of the J joints (or other numbers) of N hands."""

    expected: str
    good: np.ndarray  # (N, J) bool; so written that NaN is not good
    values: np.ndarray  # (N, J) what a message quotes
    at: str = "at joint"  # "" where there is one number a hand


def hand_doubts(
    where: Callable[[int], str], joints_mm: np.ndarray, centre: int, testable: np.ndarray, *more_checks: Check
) -> list[Doubt | None]:
    """`find` for joints (N, J, 3) in mm: numbers, in front of the camera, as close to joint `centre` as a hand's."""
    depth_mm, reach_mm = joints_mm[..., 2], reach(joints_mm, centre)
    (nearest_mm, farthest_mm), (smallest_mm, largest_mm) = DEPTH_MM, REACH_MM
    size_mm = np.broadcast_to(reach_mm.max(axis=-1, keepdims=True), reach_mm.shape)
    in_front = (depth_mm >= nearest_mm) & (depth_mm <= farthest_mm)
    checks = [
        finite("finite numbers", joints_mm),
        Check(f"joints in front of the camera, {nearest_mm:.0f} to {farthest_mm:.0f} mm", in_front, depth_mm),
        Check(f"joints within {largest_mm:.0f} mm of joint {centre}", reach_mm <= largest_mm, reach_mm),
        Check(f"a joint {smallest_mm:.0f} mm or more from joint {centre}", size_mm >= smallest_mm, reach_mm),
        *more_checks,
    ]
    return find(where, checks, testable, unit_hint(joints_mm, centre, "millimetres"))


def scale_bone_check(bone_mm: np.ndarray) -> Check:
    """That the bone (N, 1) that invariance S divides by has a length."""
    expected = f"a middle finger's MCP-PIP of {SHORTEST_BONE_MM:g} mm or more"
    return Check(expected, bone_mm >= SHORTEST_BONE_MM, bone_mm, at="")


def finite(expected: str, values: np.ndarray) -> Check:
    """That all numbers (N, J, K) of a joint are finite."""
    good = np.isfinite(values)
    first_bad = np.argmin(good, axis=-1)[..., None]  # 0 where none is bad: that value is then not quoted
    return Check(expected, good.all(axis=-1), np.take_along_axis(values, first_bad, axis=-1)[..., 0])


def reach(joints: np.ndarray, centre: int) -> np.ndarray:
    """Distances (N, J) of joints (N, J, 3) from their joint `centre`, in their unit."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.linalg.norm(joints - joints[:, centre : centre + 1], axis=-1)


def testable(joints_mm: np.ndarray, uv_px: np.ndarray, centre: int) -> np.ndarray:
    """Whether (N,) a crop can be cut around joint `centre` of each hand, and its prediction can be scored.

    Not if the centre is behind the camera or too far away (a line of zeros, say), nor if any number is NaN or so large
    that the error at that joint would drown all others.
    """
    nearest_mm, farthest_mm = DEPTH_MM
    centre_mm = joints_mm[:, centre, 2]
    near = (reach(joints_mm, centre) <= farthest_mm).all(axis=1) & (np.abs(uv_px) <= FARTHEST_PX).all(axis=(1, 2))
    return near & (centre_mm >= nearest_mm) & (centre_mm <= farthest_mm)


def find(
    where: Callable[[int], str],
    checks: list[Check],
    testable: np.ndarray,
    hint: str = "",
    used: np.ndarray | None = None,
) -> list[Doubt | None]:
    """The first thing that is wrong with each of the N hands of a label file; None for those that are right.

    `where` names hand number i. InputError if more than one hand and more than half of them are wrong (of the `used`
    (N,) ones, if not all are): then the file is not what it should be. `hint` ends the message.
    """
    good = np.stack([check.good.all(axis=1) for check in checks])  # (checks, N)
    bad = ~good.all(axis=0)
    used = np.ones_like(bad) if used is None else used
    doubts: list[Doubt | None] = [None] * len(bad)
    for hand in np.flatnonzero(bad):
        check = checks[np.argmin(good[:, hand])]
        joint = np.argmin(check.good[hand])
        reason = f"expected {check.expected}, found {check.values[hand, joint]:.6g}"
        reason += f" {check.at} {joint}" if check.at else ""
        doubts[hand] = Doubt(where(hand), reason, bool(testable[hand]))
    if (count := np.count_nonzero(bad & used)) > max(used.sum() / 2, 1):
        first = doubts[np.argmax(bad & used)]
        raise InputError(f"{first}, and something wrong in {count:,} of its {used.sum():,} hands{hint}")
    return doubts


def unit_hint(joints: np.ndarray, centre: int, unit: str) -> str:
    """The end of a message if the joints (N, J, 3) are hands in another unit than the set's `unit`, else ""."""
    sizes = reach(joints, centre).max(axis=-1, initial=0)
    sizes = sizes[np.isfinite(sizes)]
    size = np.median(sizes) if len(sizes) else 0.0
    likely = [name for name, a_metre in UNITS_A_METRE.items() if 0.5 < size / (a_metre * TYPICAL_REACH_M) < 2]
    return f"; the set has {unit}: are these {likely[0]}?" if likely and likely[0] != unit else ""


def notes(doubts: Iterable[Doubt | None]) -> list[str]:
    """One line on the hands that are not trained on and one on those left out: how many, why, the first few."""
    different = [doubt for doubt in dict.fromkeys(doubts) if doubt]
    reasons = {
        True: "that no hand can have, not trained on but tested on where the protocol does so",
        False: "that no hand can have and nothing can be cut out or scored by, left out",
    }
    groups = {reason: [doubt for doubt in different if doubt.testable == kept] for kept, reason in reasons.items()}
    return [f"{len(group):,} label(s) {reason}: {some(group)}" for reason, group in groups.items() if group]


def few(name: str, frames: dict[str, Sequence[Any]], largest_share: float) -> dict[str, list[Any]]:
    """The frames of the set `name` without those that are left out; each has its `doubt`, or None.

    InputError if more than `largest_share` of all of them have one; a single doubt refuses no set, unless it is 0.
    """
    doubts = [frame.doubt for group in frames.values() for frame in group if frame.doubt]
    total = sum(map(len, frames.values()))
    single = largest_share > 0 and len(set(doubts)) == 1
    if len(doubts) > largest_share * total and not single:
        parameter = f"data.{name}.protocol.doubtful_labels"
        raise InputError(
            f"{parameter}: expected at most {largest_share:g} of the labels to be none that a hand can have, found "
            f"{len(doubts):,} of {total:,}: {some(dict.fromkeys(doubts))}; mend them, or raise {parameter}"
        )
    return {
        split: [frame for frame in group if frame.doubt is None or frame.doubt.testable]
        for split, group in frames.items()
    }


def some(doubts: Iterable[Doubt]) -> str:
    texts = list(map(str, doubts))
    return "; ".join(texts[:EXAMPLES]) + ("; ..." if len(texts) > EXAMPLES else "")
