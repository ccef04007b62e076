"""What a prediction is written as: JSON of a picture, a CSV line of a video's frame."""

import json
from collections.abc import Iterator

import numpy as np

from handvae.base.joints import Skeleton
from handvae.datasets.rhd_annotations import SIDE_NAMES
from handvae.prediction.hands import Hand
from handvae.prediction.pictures import Frame

AXES = ("x_mm", "y_mm", "z_mm")
HEAD = ("frame", "time_s", "hand", "side", "confidence", "box_x0_px", "box_y0_px", "box_x1_px", "box_y1_px")


def json_text(name: str, image_hw: tuple[int, int], model: dict[str, object], hands: list[Hand]) -> str:
    """The hands of a picture, and what was assumed. Lengths in mm, x right, y down, z away from the camera."""
    height, width = image_hw
    record = {
        "input": name,
        "width_px": width,
        "height_px": height,
        "model": model,
        "frame_of_reference": "mm; x right, y down, z away from the camera; see `origin` of each hand",
        "hands": [_hand(hand) for hand in hands],
    }
    return json.dumps(record, indent=2) + "\n"


def _hand(hand: Hand) -> dict[str, object]:
    box = hand.box
    return {
        "side": side_name(hand),
        "box_px": None if box is None else _rounded(np.array(box.corners_px)),
        "box_from": "the nearest that was measured" if box is None else box.source,
        "confidence": None if box is None or box.confidence is None else round(box.confidence, 3),
        "origin": "the camera" if hand.assumed["camera"] != "none" else "the palm",
        "assumed": hand.assumed,
        "joints": {
            name: {"xyz_mm": _rounded(xyz), "uv_px": _rounded(uv), "spread_mm": _rounded(spread)}
            for name, xyz, uv, spread in zip(
                hand.skeleton.joints, hand.joints_mm, hand.uv_px, hand.spread_mm, strict=True
            )
        },
    }


def _rounded(values: np.ndarray | float) -> list | float:
    return np.round(np.asarray(values, np.float64), 2).tolist()


def side_name(hand: Hand) -> str:
    return SIDE_NAMES.get(hand.side, "not known")


def csv_header(skeleton: Skeleton) -> list[str]:
    """One column a number: of the hand, then of each joint x, y, z, u, v and the spread."""
    of_joint = [*AXES, "u_px", "v_px", "spread_mm"]
    return [*HEAD, *(f"{joint}_{axis}" for joint in skeleton.joints for axis in of_joint)]


def csv_rows(frame: Frame, hands: list[Hand], skeleton: Skeleton) -> Iterator[list[object]]:
    """A row for each hand of a frame; for a frame without any, one with no number in it but the frame's."""
    start = [frame.number, f"{frame.time_s:.3f}"]
    if not hands:
        yield start + [""] * (len(csv_header(skeleton)) - 2)
    for number, hand in enumerate(hands):
        confidence = "" if hand.box.confidence is None else f"{hand.box.confidence:.3f}"
        numbers = np.column_stack([hand.joints_mm, hand.uv_px, hand.spread_mm]).ravel()
        corners = [f"{value:.1f}" for value in hand.box.corners_px]
        yield [*start, number, side_name(hand), confidence, *corners, *(f"{value:.2f}" for value in numbers)]
