"""What every dataset reader yields: one hand in one image, joints in the order of `handvae.joints`."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sample:
    name: str  # "training/00012 left": for error messages and predictions
    image_u8: np.ndarray  # (H, W, 3) RGB
    joints_mm: np.ndarray  # (21, 3) float64, camera frame: x right, y down, z forward
    uv_px: np.ndarray  # (21, 2) float64, pixel centres at integers
    visible: np.ndarray  # (21,) bool
    camera: np.ndarray  # (3, 3) float64 intrinsics K: uv ~ K @ joints
    side: int  # joints.LEFT or joints.RIGHT
    subject: str  # subject or sequence where the dataset names one, else ""
