"""What every dataset reader yields: one hand in one image, joints in the order of the set's skeleton.

Pixel centres are at integer coordinates; the camera frame is x right, y down, z forward, in millimetres.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Label:
    """What is known of a hand in a colour or depth image."""

    name: str  # "training/00012 left": for error messages and predictions
    joints_mm: np.ndarray  # (J, 3) float64
    uv_px: np.ndarray  # (J, 2) float64
    camera: np.ndarray  # (3, 3) float64 intrinsics K: uv ~ K @ joints
    side: int  # joints.LEFT or joints.RIGHT
    subject: str  # where the dataset names one, else ""
    sequence: str  # frames of one sequence follow each other in time; "" where they do not
    frame: int  # number in the sequence
    moment: str  # the pose: views, turned copies and both hands of an image at one moment share it
    trainable: bool  # False: tested on where the protocol does so, but not trained on (wrong label, no hand)


@dataclass(frozen=True)
class Sample(Label):
    """A hand in a colour image."""

    image_u8: np.ndarray | None  # (H, W, 3) RGB; None where only the labels are at hand
    image_hw: tuple[int, int]
    visible: np.ndarray  # (J,) bool
    sizing_uv_px: np.ndarray  # (J, 2) pixels from which the crop's size is taken: uv_px, unless the protocol differs


@dataclass(frozen=True)
class DepthSample(Label):
    """A hand in a depth image. Joints lie inside the hand, not on the surface that the camera sees."""

    depth_mm: np.ndarray  # (H, W) float32, 0 where nothing was measured
    cube_mm: float  # side of the cube around the hand that the protocol cuts out for this set and subject
    centre_joint: int  # the joint on which the protocol centres it
