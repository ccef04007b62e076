"""Cameras, crops and the normalisation of poses. Pure NumPy; pixel centres are at integer coordinates throughout."""

from dataclasses import dataclass

import numpy as np

from handvae.base.joints import SCALE_BONE, SKELETONS, Skeleton

REFERENCE_PX = 256  # side of the reference's crop, in which its limits on the zoom are stated


def project(joints_mm: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Pinhole projection of (..., J, 3) camera-frame points by (..., 3, 3) intrinsics to (..., J, 2) pixels."""
    homogeneous = joints_mm @ np.swapaxes(camera, -1, -2)
    return homogeneous[..., :2] / homogeneous[..., 2:]


def back_project(uvd: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """u, v in px and depth in mm (..., 3) to camera-frame points (..., 3) in mm, by intrinsics (3, 3) without skew."""
    depth_mm = uvd[..., 2:]
    return np.concatenate([(uvd[..., :2] - camera[:2, 2]) / camera[[0, 1], [0, 1]] * depth_mm, depth_mm], axis=-1)


@dataclass(frozen=True)
class Crop:
    """A square of the image, in image pixels: `top_left_px` (u, v) is the image point under crop pixel (0, 0)."""

    centre_px: np.ndarray  # (2,)
    size_px: float  # twice the largest distance of a visible joint from the centre, in [50, 500]
    side_px: float  # of the square actually cut, in [25.6, 256]
    top_left_px: np.ndarray  # (2,)


def reference_crop(uv_px: np.ndarray, visible: np.ndarray, centre_joint: int, image_hw: tuple[int, int]) -> Crop:
    """The crop of hand3d and of the paper's evaluation code: steps 3 to 6 of the reference's reader.

    uv_px (J, 2), visible (J,). The centre is the given joint's pixel (the middle MCP), the size comes from the visible
    joints clipped to the image; with no visible joint it is the smallest (the reference has 200 for a size that is not
    finite, but clips before it asks). A side over 256 px is cut, never shrunk: the reference limits the zoom to [1, 10]
    at 256 px, so the side lies between 25.6 and 256 px.
    """
    centre = uv_px[centre_joint]
    size = 0.0
    if visible.any():
        height, width = image_hw
        lowest = np.maximum(uv_px[visible].min(axis=0), 0.0)
        highest = np.minimum(uv_px[visible].max(axis=0), (width, height))
        size = 2.0 * max(np.abs(lowest - centre).max(), np.abs(highest - centre).max())
    size = float(np.clip(size, 50.0, 500.0))
    scale = float(np.clip(REFERENCE_PX / size, 1.0, 10.0))
    side = REFERENCE_PX / scale
    # reference: moves joints by the centre but cuts the image from centre - floor(side / 2), up to half a pixel apart;
    # here both follow the cut, so that joints lie on their pixels
    return Crop(centre, size, side, centre - np.floor(side / 2.0))


def context_transform(crop: Crop, crop_px: int, context_px: int) -> np.ndarray:
    """The (3, 3) map from image pixels to the pixels of the stored context crop.

    The network's crop (`crop_px` a side) lies in the middle of the context crop (`context_px`), at the same zoom.
    """
    zoom = crop_px / crop.side_px
    margin = (context_px - crop_px) / 2.0
    offset = margin - zoom * crop.top_left_px
    return np.array([[zoom, 0.0, offset[0]], [0.0, zoom, offset[1]], [0.0, 0.0, 1.0]])


def transform_px(uv_px: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Apply an affine (3, 3) map to (..., 2) pixels."""
    return uv_px @ transform[:2, :2].T + transform[:2, 2]


def scale_bone_mm(joints_mm: np.ndarray) -> np.ndarray:
    """Length of the middle finger's MCP-PIP bone of (..., 21, 3) joints: the hand's scale of invariance S."""
    mcp, pip = SCALE_BONE
    return np.linalg.norm(joints_mm[..., pip, :] - joints_mm[..., mcp, :], axis=-1)


def handedness(joints_mm: np.ndarray, skeleton: Skeleton = SKELETONS["HAND21"]) -> np.ndarray:
    """Sign test on (..., J, 3) joints in the camera frame, -1 to 1: negative for a left hand, positive for a right one.

    The cosine between the palm's normal (index side x little side) and the direction in which the fingertips are bent.
    A stretched hand gives a value near zero of either sign.
    """
    root, index_base, little_base = (joints_mm[..., joint, :] for joint in skeleton.palm_plane)
    normal = np.cross(index_base - root, little_base - root)
    tips, bases = (joints_mm[..., list(group), :].mean(axis=-2) for group in (skeleton.tips, skeleton.bases))
    lengths = np.linalg.norm(normal, axis=-1) * np.linalg.norm(tips - bases, axis=-1)
    return (normal * (tips - bases)).sum(axis=-1) / np.maximum(lengths, 1e-9)
