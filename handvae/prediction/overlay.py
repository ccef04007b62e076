"""A picture with the 2D skeletons on it, and beside it each hand in 3D, from the front and turned.

Drawn by Pillow, which is fast enough for videos.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from handvae.base.joints import Skeleton

# Okabe and Ito's colours, told apart by colour-blind readers: thumb to little finger, then what is no finger's
FINGERS = {
    "thumb": (213, 94, 0),
    "index": (230, 159, 0),
    "middle": (0, 158, 115),
    "ring": (86, 180, 233),
    "little": (204, 121, 167),
}
PALM, TEXT, PAPER = (118, 118, 118), (60, 60, 60), (255, 255, 255)
HEIGHT_PX, WIDEST_PX = 480, 854  # of the picture's part
SMOOTH = 2  # drawn so much larger, then shrunk: Pillow's lines are jagged
TURN_DEG = 60  # of the second view: from its side, where the camera sees no depth


@dataclass(frozen=True)
class DrawnHand:
    skeleton: Skeleton
    uv_px: np.ndarray  # (J, 2) in the picture
    joints_mm: np.ndarray  # (J, 3)
    corners_px: tuple[float, float, float, float] | None  # of the box
    label: str


def draw(image_u8: np.ndarray, hands: list[DrawnHand], rows: int | None = None) -> np.ndarray:
    """The picture (H, W, 3) RGB shrunk or enlarged to HEIGHT_PX, and two views of each hand beside it.

    `rows`: for how many hands there is room beside it, in a video whose frames must have one size; None: for all.
    """
    rows = max(1, len(hands)) if rows is None else rows
    height, width = image_u8.shape[:2]
    zoom = min(HEIGHT_PX / height, WIDEST_PX / width) * SMOOTH
    shown_px = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    cell_px = HEIGHT_PX * SMOOTH // rows
    canvas = Image.new("RGB", (shown_px[0] + 2 * cell_px, HEIGHT_PX * SMOOTH), PAPER)
    # with the gap Pillow first shrinks by a whole factor, which is much faster for large photographs
    picture = Image.fromarray(image_u8).resize(shown_px, Image.Resampling.BILINEAR, reducing_gap=2.0)
    brush = ImageDraw.Draw(picture)
    for hand in hands:
        if hand.corners_px:
            brush.rectangle([value * zoom for value in hand.corners_px], outline=PAPER, width=SMOOTH)
        _skeleton(brush, hand.skeleton, (hand.uv_px + 0.5) * zoom, 2 * SMOOTH)
    canvas.paste(picture, (0, (canvas.height - picture.height) // 2))
    brush = ImageDraw.Draw(canvas)
    for row, hand in enumerate(hands[:rows]):
        for column, turn_deg in enumerate((0, TURN_DEG)):
            corner_px = np.array([shown_px[0] + column * cell_px, row * cell_px])
            _skeleton(brush, hand.skeleton, corner_px + _view(hand.joints_mm, turn_deg, cell_px), 2 * SMOOTH)
            text = hand.label if column == 0 else f"turned {TURN_DEG} degrees"
            font = ImageFont.load_default(14 * SMOOTH)
            brush.text(tuple(corner_px + 8 * SMOOTH), text, TEXT, font)
    return np.asarray(canvas.reduce(SMOOTH))


def grey(depth_mm: np.ndarray, hand_mm: float, cube_mm: float) -> np.ndarray:
    """A depth image (H, W) as a picture (H, W, 3): near is bright, and the hand, `hand_mm` away, has most of the range.

    What was not measured is black.
    """
    nearness = np.clip(0.5 - (depth_mm - hand_mm) / (2 * cube_mm), 0.08, 1.0)
    return np.repeat((255 * np.where(depth_mm > 0, nearness, 0.0)).astype(np.uint8)[..., None], 3, axis=2)


def _view(joints_mm: np.ndarray, turn_deg: float, cell_px: int) -> np.ndarray:
    """The joints (J, 2) in pixels of a cell, seen by a camera that has gone round the vertical axis by `turn_deg`."""
    centred = joints_mm - (joints_mm.min(axis=0) + joints_mm.max(axis=0)) / 2
    turn = np.deg2rad(turn_deg)
    across = centred[:, 0] * np.cos(turn) + centred[:, 2] * np.sin(turn)
    reach_mm = np.linalg.norm(centred, axis=1).max()  # the same scale in both views
    return cell_px / 2 + np.stack([across, centred[:, 1]], axis=1) * (0.42 * cell_px / max(reach_mm, 1e-6))


def _skeleton(brush: ImageDraw.ImageDraw, skeleton: Skeleton, uv_px: np.ndarray, radius_px: float) -> None:
    for parent, child in skeleton.bones:
        colour = _colour(skeleton.joints[child])
        brush.line([tuple(uv_px[parent]), tuple(uv_px[child])], colour, round(1.5 * radius_px))
    for name, (u, v) in zip(skeleton.joints, uv_px, strict=True):
        corners = [u - radius_px, v - radius_px, u + radius_px, v + radius_px]
        brush.ellipse(corners, _colour(name), PAPER)


def _colour(joint: str) -> tuple[int, int, int]:
    return FINGERS.get(joint.split("_")[0], PALM)
