"""The cube that DeepPrior++ cuts around the hand of a depth image. Pure NumPy; pixel centres at integer coordinates."""

import numpy as np

from handvae.base.geometry import project

NEAREST_MM, FARTHEST_MM = 10.0, 1500.0  # DeepPrior++: a depth outside is no measurement
BACKGROUND = 1.0


def centre_of_mass_mm(
    depth_mm: np.ndarray, camera: np.ndarray, start_mm: np.ndarray, cube_mm: float
) -> np.ndarray | None:
    """The (3,) mean of what was measured in the cube around `start_mm`, then in the cube around that mean.

    depth_mm (H, W), camera (3, 3), start_mm (3,) camera frame. The mean is taken of pixels and depths, then
    back-projected, as DeepPrior++ does. None where nothing was measured in the cube.
    """
    centre_mm = np.asarray(start_mm, np.float64)
    for _ in range(2):
        mean = _mean_in_cube(depth_mm, camera, centre_mm, cube_mm)
        if mean is None:
            return None
        u_px, v_px, z_mm = mean
        centre_mm = z_mm * np.linalg.solve(camera, (u_px, v_px, 1.0))
    return centre_mm


def anything_in_cube(depth_mm: np.ndarray, camera: np.ndarray, centre_mm: np.ndarray, cube_mm: float) -> bool:
    """Whether anything was measured in the cube around `centre_mm` (3,)."""
    inside, *_ = _in_cube(depth_mm, camera, centre_mm, cube_mm)
    return bool(inside.any())


def _mean_in_cube(
    depth_mm: np.ndarray, camera: np.ndarray, centre_mm: np.ndarray, cube_mm: float
) -> tuple[float, float, float] | None:
    """Mean u, v and depth of the pixels inside the cube, None if there is none."""
    inside, window_mm, u0, v0 = _in_cube(depth_mm, camera, centre_mm, cube_mm)
    count = np.count_nonzero(inside)
    if not count:
        return None
    mean_u = inside.sum(axis=0) @ np.arange(u0, u0 + inside.shape[1]) / count
    mean_v = inside.sum(axis=1) @ np.arange(v0, v0 + inside.shape[0]) / count
    return mean_u, mean_v, window_mm.sum(where=inside, dtype=np.float64) / count


def _in_cube(
    depth_mm: np.ndarray, camera: np.ndarray, centre_mm: np.ndarray, cube_mm: float
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """The box of pixels around the cube: which of them lie in the cube, their depth, the first u and v of the box.

    DeepPrior++ counts what is nearer than the cube as if it lay on its front; here it does not belong to the hand.
    """
    height, width = depth_mm.shape
    u_px, v_px = project(centre_mm, camera)
    half_px = cube_mm / 2 * camera[0, 0] / centre_mm[2]
    u0, u1 = np.clip((np.ceil(u_px - half_px), np.floor(u_px + half_px) + 1), 0, width).astype(int)
    v0, v1 = np.clip((np.ceil(v_px - half_px), np.floor(v_px + half_px) + 1), 0, height).astype(int)
    window_mm = depth_mm[v0:v1, u0:u1]
    return measured(window_mm) & (np.abs(window_mm - centre_mm[2]) <= cube_mm / 2), window_mm, int(u0), int(v0)


def measured(depth_mm: np.ndarray) -> np.ndarray:
    """Whether each depth is a measurement: bool, of the same shape. NaN is not."""
    return (depth_mm > NEAREST_MM) & (depth_mm < FARTHEST_MM)


def crop(
    depth_mm: np.ndarray, camera: np.ndarray, centre_mm: np.ndarray, cube_mm: float, crop_px: int, context_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut the cube around `centre_mm` (3,): a float16 image (context_px, context_px) and its (3, 3) map of pixels.

    The network's crop, `crop_px` a side and as wide as the cube at its centre's depth, lies in the middle of the
    context crop, at the same zoom. Values run from -1 on the cube's front to +1 on its back; what is nearer is -1, and
    what is farther, was not measured or lies outside the image is background, +1. The map takes pixels of the image to
    those of the context crop, the cube's centre to its middle ((context_px - 1) / 2), so that map @ camera projects
    joints onto the pixels that show them.
    """
    # DeepPrior++: a box of whole pixels, but joints without that rounding; here the box is real-valued, because then
    # joints lie on their pixels. One zoom for both axes: fx and fy differ by at most 0.2 % (NYU).
    centre_mm = np.asarray(centre_mm, np.float64)
    zoom = crop_px * centre_mm[2] / (cube_mm * camera[0, 0])
    centre_px = project(centre_mm, camera)
    middle = (context_px - 1) / 2
    u_px, v_px = np.rint(centre_px[:, None] + (np.arange(context_px) - middle) / zoom).astype(np.int64)
    height, width = depth_mm.shape
    # rows, then columns: two to three times as fast as both at once
    window_mm = depth_mm.take(v_px, axis=0, mode="clip").take(u_px, axis=1, mode="clip")
    known = measured(window_mm)
    known[(v_px < 0) | (v_px >= height)] = False
    known[:, (u_px < 0) | (u_px >= width)] = False
    in_cube = np.clip((window_mm - float(centre_mm[2])) / (cube_mm / 2), -1.0, 1.0)
    transform = np.eye(3) * (zoom, zoom, 1.0)
    transform[:2, 2] = middle - zoom * centre_px
    return np.where(known, in_cube, BACKGROUND).astype(np.float16), transform
