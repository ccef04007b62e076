"""A depth image as a grey picture: near is bright, and the hand has most of the range."""

import numpy as np


def grey(depth_mm: np.ndarray, hand_mm: float, cube_mm: float) -> np.ndarray:
    """(H, W, 3) uint8 of depth (H, W); `hand_mm`: how far the hand is. What was not measured is black."""
    nearness = np.clip(0.5 - (depth_mm - hand_mm) / (2 * cube_mm), 0.08, 1.0)
    return np.repeat((255 * np.where(depth_mm > 0, nearness, 0.0)).astype(np.uint8)[..., None], 3, axis=2)
