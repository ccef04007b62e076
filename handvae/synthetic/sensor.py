"""What a depth camera makes of a perfect depth picture: noise, steps, holes, shadows; and what stands behind the hand.

Pure NumPy, one picture at a time. Two cameras: "tof", the time-of-flight camera of ICVL and MSRA (Creative Senz3D), and
"structured", the Kinect of NYU. Orders of magnitude from the literature and by eye, not fitted to real pictures.
"""

import numpy as np

RANGE_M = {"tof": (0.10, 1.4), "structured": (0.40, 4.0)}  # what is nearer or farther is not measured
NOWHERE_M = np.float32(20.0)  # stands for nothing at all, beyond every range

TOF_NOISE = 0.004  # sd relative to depth: 1 mm at 0.25 m, 3 mm at 0.75 m
TOF_EDGE_M = 0.02  # a greater jump from pixel to pixel is an edge
TOF_DROPPED, TOF_FLYING = 0.3, 0.4  # the share of edges where a pixel measures nothing, or something between

# Khoshelham and Elberink 2012: Kinect's disparity has steps of 1/8 pixel and noise of half a step, so that in depth
# both grow with its square, 2.9 and 1.4 mm at 1 m
KINECT_FOCAL_BASELINE = 580.0 * 0.075  # pixels of a 640 px wide picture, times metres
KINECT_STEPS, KINECT_NOISE_STEPS = 8, 0.5

HOLES = {"tof": 2e-4, "structured": 1e-4}  # small holes per pixel, 1 to 2 pixels a side
BODY_BULGE_M = 0.12


def measure(depth_m: np.ndarray, rng: np.random.Generator, camera: str) -> np.ndarray:
    """(H, W) float32 metres, inf where nothing is -> (H, W) float32 whole millimetres, 0 where nothing was measured.

    camera: "tof" or "structured". How much of rng is used depends on the picture: every picture needs its own.
    """
    sense = _time_of_flight if camera == "tof" else _structured_light
    depth_mm = np.rint(1e3 * sense(np.minimum(depth_m, NOWHERE_M), rng))
    near_mm, far_mm = 1e3 * np.float32(RANGE_M[camera])
    depth_mm *= (depth_mm >= near_mm) & (depth_mm <= far_mm)
    _punch_holes(depth_mm, rng, HOLES[camera])
    return depth_mm


def backdrop_m(rng: np.random.Generator, hand_depth_m: float, height: int, width: int) -> np.ndarray:
    """(H, W) float32 metres: a tilted wall and, before it, a body with a head, 0.2 to 0.6 m behind the hand.

    hand_depth_m: of the hand's farthest point. Lay the hand over it by np.minimum.
    """
    columns, rows = np.arange(width, dtype=np.float32) / width, np.arange(height, dtype=np.float32)[:, None] / height
    angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.3)
    ramp = 0.5 + 0.35 * (np.float32(np.cos(angle)) * (2 * columns - 1) + np.float32(np.sin(angle)) * (2 * rows - 1))
    nearest_m = hand_depth_m + rng.uniform(0.5, 1.2)
    depth_m = np.float32(nearest_m) / (1 - np.float32(slope) * np.clip(ramp, 0, 1))
    body_m = hand_depth_m + rng.uniform(0.2, 0.6)
    x, shoulders, breadth = rng.uniform(0.1, 0.9), rng.uniform(0.25, 0.6), rng.uniform(0.2, 0.4)
    ellipses = (  # centre and half axes, relative to the picture
        (x, shoulders + 0.55, breadth, 0.55),
        (x + rng.uniform(-0.05, 0.05), shoulders - 0.08, 0.35 * breadth, 0.6 * breadth),
    )
    for u, v, half_u, half_v in ellipses:
        inside = 1 - ((columns - np.float32(u)) / half_u) ** 2 - ((rows - np.float32(v)) / half_v) ** 2
        bulge_m = np.float32(BODY_BULGE_M) * (1 - np.sqrt(np.maximum(inside, 0)))
        depth_m = np.minimum(depth_m, np.float32(body_m) + bulge_m + NOWHERE_M * (inside < 0))
    return depth_m


def _time_of_flight(depth_m: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise in proportion to depth; at edges a pixel gets light from both sides and measures something between."""
    noisy_m = depth_m * (1 + np.float32(TOF_NOISE) * rng.standard_normal(depth_m.shape, dtype=np.float32))
    for axis in (0, 1):
        row, column = np.nonzero(np.abs(np.diff(depth_m, axis=axis)) > TOF_EDGE_M)
        step = rng.integers(0, 2, len(row))  # which of the edge's two pixels
        fate, part = rng.random(len(row), dtype=np.float32), rng.random(len(row), dtype=np.float32)
        here = (row + step, column) if axis == 0 else (row, column + step)
        there = (row + 1 - step, column) if axis == 0 else (row, column + 1 - step)
        changed_m = np.where(fate < TOF_DROPPED, 0, depth_m[here] + part * (depth_m[there] - depth_m[here]))
        changed = fate < TOF_DROPPED + TOF_FLYING
        noisy_m[here[0][changed], here[1][changed]] = changed_m[changed]
    return noisy_m


def _structured_light(depth_m: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Steps and noise of the disparity; nothing where the projector, to the camera's right, casts a shadow."""
    height, width = depth_m.shape
    focal_baseline = np.float32(KINECT_FOCAL_BASELINE * width / 640)
    disparity_px = focal_baseline / depth_m
    lit_px = np.arange(width, dtype=np.float32) - disparity_px  # the projector's column that lights the point
    # of two points lit by one column the nearer, which is to the right in the picture, takes the light
    shadow = np.minimum.accumulate(lit_px[:, ::-1], axis=1)[:, ::-1] < lit_px - 1
    coarse = rng.standard_normal(((height + 1) // 2, (width + 1) // 2), dtype=np.float32)  # one block match, 2 x 2 px
    noise = np.repeat(np.repeat(coarse, 2, axis=0), 2, axis=1)[:height, :width]
    steps = np.rint(KINECT_STEPS * disparity_px + np.float32(KINECT_NOISE_STEPS) * noise)
    return KINECT_STEPS * focal_baseline / np.maximum(steps, 1) * ~shadow


def _punch_holes(depth_mm: np.ndarray, rng: np.random.Generator, per_pixel: float) -> None:
    """In place: squares of 1 or 2 pixels a side are not measured."""
    height, width = depth_mm.shape
    count = rng.poisson(per_pixel * depth_mm.size)
    row, column, size = rng.integers(0, height, count), rng.integers(0, width, count), rng.integers(1, 3, count)
    low, right = np.minimum(row + size - 1, height - 1), np.minimum(column + size - 1, width - 1)
    for v in (row, low):
        for u in (column, right):
            depth_mm[v, u] = 0
