"""Growing the hand's template: round cones, smooth union, marching cubes, relaxation, skinning weights.

The template is a right hand of reference size in kinematics.REST_POSE. Nothing here runs when hands are rendered:
the result ships as template.npz, see mesh. Building needs scikit-image. Lengths are millimetres.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import numpy as np

from handvae.synthetic.kinematics import BONES, FOREARM, HAND_LENGTH_REFERENCE_M, PALM, RADII_M, REST

POSITION_STEP_M = 1e-5  # positions are stored as int16 multiples of this
FOREARM_MM = 235.0  # from the wrist to the flat end
# y, half distance of radius and ulna, radius of the flesh around each
FOREARM_SECTIONS_MM = ((4, 9.5, 18.6), (-50, 10.5, 20.0), (-130, 13.0, 25.0), (-265, 15.0, 30.0))
CELL_MM = 3.5
STRETCH = 3.0  # cells are this much longer along the forearm, which is smooth
IN_FINGER_MM, IN_PALM_MM, BETWEEN_MM = 2.5, 7.0, 5.0  # blending radii


@dataclass(frozen=True)
class Cone:
    start_mm: np.ndarray
    end_mm: np.ndarray
    start_radius_mm: float
    end_radius_mm: float
    bone: int  # whose skin it is
    group: int  # digit 0..4, or 5 = palm and forearm


def build_template() -> dict[str, np.ndarray]:
    """The arrays of template.npz. Needs scikit-image."""
    cones = hand_cones()
    vertices_mm, faces = _marching_cubes(cones)
    neighbours = _neighbours(faces, len(vertices_mm))
    for _ in range(6):  # smooth away the grid, then back onto the surface
        vertices_mm = 0.5 * vertices_mm + 0.5 * _mean_of_neighbours(vertices_mm, neighbours)
        vertices_mm = _onto_surface(vertices_mm, cones)
    normals = _vertex_normals(vertices_mm, faces)
    weights = _skin_weights(vertices_mm, cones, neighbours)
    return {
        "vertices_i16": np.round(vertices_mm.T * 1e-3 / POSITION_STEP_M).astype(np.int16),
        "normals_i8": np.round(normals.T * 127).astype(np.int8),
        "weights_u8": np.round(weights.T * 255).astype(np.uint8),
        "faces_u16": faces.T.astype(np.uint16),
    }


def hand_cones() -> list[Cone]:
    """Bones, pads, pulps, knuckles, webs, thenar, hypothenar, forearm: round cones in the rest pose, millimetres."""
    size = 1e3 * HAND_LENGTH_REFERENCE_M
    joints = 1e3 * REST.joints_m[1:].reshape(5, 4, 3)
    frames = REST.rotations[1:16].reshape(5, 3, 3, 3)
    cones = []

    def add(bone, group, start, start_radius, end, end_radius):
        cones.append(Cone(np.asarray(start, float), np.asarray(end, float), start_radius, end_radius, bone, group))

    for digit in range(5):
        _add_digit(add, digit, joints[digit], frames[digit], 1e3 * RADII_M[digit])
    knuckles = joints[1:, 0]
    wrist_ends = size * np.array([[0.085, 0.07, 0.015], [0.03, 0.07, 0.0], [-0.03, 0.07, 0.0], [-0.08, 0.07, 0.015]])
    for knuckle, carpus, radius in zip(knuckles, wrist_ends, (11.6, 11.6, 11.0, 10.2), strict=True):
        add(PALM, 5, carpus, 12.0, knuckle - [0, 4, 0], radius)
        add(PALM, 5, 0.8 * knuckle + 0.2 * carpus + [0, 0, 4.5], 8.5, knuckle + [0, -3, 4.5], 8.0)
        dorsal = knuckle + [0, 0, -4.0]
        add(PALM, 5, dorsal - [0, 3, 0], 7.6, dorsal, 7.4)
    _add_palm(add, size, joints, knuckles)
    for sign in (-1, 0, 1):  # radius, ulna and what is between
        for (y, x, radius), (next_y, next_x, next_radius) in pairwise(FOREARM_SECTIONS_MM):
            add(FOREARM, 5, (sign * x, y, 1), radius, (sign * next_x, next_y, 1), next_radius)
    return cones


def _add_digit(add, digit: int, joints: np.ndarray, frames: np.ndarray, radii: np.ndarray) -> None:
    tip_centre = joints[3] - frames[2][:, 1] * radii[3]
    ends = [*joints[:3], tip_centre]
    for segment in range(3):
        bone, (start, end) = 1 + 3 * digit + segment, ends[segment : segment + 2]
        pad = frames[segment][:, 2]
        add(bone, digit, start, radii[segment] * 0.97, end, radii[segment + 1] * (0.97 if segment < 2 else 0.94))
        fullness = (0.80, 0.80, 0.84)[segment] * min(radii[segment], radii[segment + 1])
        low, high = ((0.30, 0.72), (0.28, 0.72), (0.30, 0.86))[segment]
        lift = 0.28 * radii[segment + 1] * pad
        add(bone, digit, start + low * (end - start) + lift, fullness, start + high * (end - start) + lift, fullness)
        if segment:  # the knuckle's back, shared by the two bones that meet there
            add(bone, digit, start - 0.22 * radii[segment] * pad, 0.86 * radii[segment], start, 0.86 * radii[segment])


def _add_palm(add, size: float, joints: np.ndarray, knuckles: np.ndarray) -> None:
    thumb_base, thumb_mcp = joints[0, 0], joints[0, 1]
    for a, b in pairwise(joints[1:]):  # webs between the fingers, and the pad across the knuckles
        add(PALM, 5, a[0] + 0.34 * (a[1] - a[0]) + [0, 0, 1.5], 5.0, b[0] + 0.34 * (b[1] - b[0]) + [0, 0, 1.5], 5.0)
        add(PALM, 5, a[0] + [0, 0, 1], 9.0, b[0] + [0, 0, 1], 9.0)
    add(PALM, 5, size * np.array([0.05, 0.05, 0.04]), 13.0, 0.75 * thumb_base + 0.25 * thumb_mcp + [-4, 0, 2], 14.5)
    start, end = 0.7 * thumb_base + 0.3 * thumb_mcp + [-4, 2, 3], 0.2 * thumb_base + 0.8 * thumb_mcp + [-3, 1, 1]
    add(1, 5, start, 14.5, end, 12.0)
    for along_thumb, along_index, radius in ((0.35, 0.45, 10.0), (0.62, 0.62, 7.5), (0.85, 0.74, 5.0)):
        a, b = thumb_base + along_thumb * (thumb_mcp - thumb_base), along_index * knuckles[0]
        add(PALM, 5, a, radius, b, radius)
    add(PALM, 5, size * np.array([-0.085, 0.09, 0.045]), 13.0, size * np.array([-0.125, 0.24, 0.05]), 12.0)
    add(PALM, 5, size * np.array([-0.125, 0.24, 0.045]), 12.0, knuckles[3] + [-1, -4, 2], 9.6)
    add(PALM, 5, (-10, 2, 1), 18.4, (10, 2, 1), 18.4)


def signed_distance_mm(points_mm: np.ndarray, cones: list[Cone]) -> np.ndarray:
    """(N,) smooth union of the cones, negative inside; the forearm ends in a plane."""
    groups = []
    for group in range(6):
        distances = (_cone_distance_mm(points_mm, cone) for cone in cones if cone.group == group)
        groups.append(_smooth_union(distances, IN_PALM_MM if group == 5 else IN_FINGER_MM))
    hand = _smooth_union([groups[5], *groups[:5]], BETWEEN_MM)
    return np.maximum(hand, -(points_mm[:, 1] + FOREARM_MM))


def _smooth_union(distances: Iterable[np.ndarray], k: float) -> np.ndarray:
    """The least of the distances, rounded off where two differ by less than k."""

    def smooth_min(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        h = np.maximum(k - np.abs(a - b), 0) / k
        return np.minimum(a, b) - 0.25 * k * h * h

    return reduce(smooth_min, distances)


def _cone_distance_mm(points_mm: np.ndarray, cone: Cone) -> np.ndarray:
    axis = cone.end_mm - cone.start_mm
    offset = points_mm - cone.start_mm
    t = np.clip(offset @ axis / max(axis @ axis, 1e-9), 0, 1)
    radius = cone.start_radius_mm + t * (cone.end_radius_mm - cone.start_radius_mm)
    return np.sqrt(((offset - t[:, None] * axis) ** 2).sum(axis=1)) - radius


def _marching_cubes(cones: list[Cone]) -> tuple[np.ndarray, np.ndarray]:
    from skimage.measure import marching_cubes

    low, high = np.array([-95.0, -FOREARM_MM - 8, -48.0]), np.array([135.0, 205.0, 75.0])
    x, z = np.arange(low[0], high[0], CELL_MM), np.arange(low[2], high[2], CELL_MM)
    y = np.concatenate([np.arange(-30.0, low[1], -CELL_MM * STRETCH)[:0:-1], np.arange(-30.0, high[1], CELL_MM)])
    grid = np.stack(np.meshgrid(x, y, z, indexing="ij"), axis=-1)
    volume = signed_distance_mm(grid.reshape(-1, 3), cones).reshape(grid.shape[:3])
    cells, faces, _, _ = marching_cubes(volume, 0.0)
    axes = zip(cells.T, (x, y, z), strict=True)
    vertices_mm = np.stack([np.interp(cell, np.arange(len(axis)), axis) for cell, axis in axes], axis=1)
    faces = faces.astype(np.int64)
    a, b, c = (vertices_mm[faces[:, i]] for i in range(3))
    if np.einsum("ij,ij", np.cross(a, b), c) < 0:  # the enclosed volume: outside is where counter-clockwise faces look
        faces = faces[:, ::-1]
    return vertices_mm, faces


def _neighbours(faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # the surface is closed: every edge comes both ways
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return edges[:, 0], edges[:, 1], np.bincount(edges[:, 0], minlength=count)


def _mean_of_neighbours(values: np.ndarray, neighbours) -> np.ndarray:
    source, target, degree = neighbours
    total = np.stack([np.bincount(source, values[target, i], len(values)) for i in range(values.shape[1])], axis=1)
    return total / degree[:, None]


def _gradient(points_mm: np.ndarray, cones: list[Cone]) -> np.ndarray:
    step_mm = 0.2
    steps = step_mm * np.eye(3)
    ahead, behind = ([signed_distance_mm(points_mm + sign * step, cones) for step in steps] for sign in (1, -1))
    return np.stack(np.subtract(ahead, behind), axis=1) / (2 * step_mm)


def _onto_surface(vertices_mm: np.ndarray, cones: list[Cone]) -> np.ndarray:
    gradient = _gradient(vertices_mm, cones)
    step = signed_distance_mm(vertices_mm, cones) / np.maximum((gradient**2).sum(axis=1), 0.25)
    return vertices_mm - np.clip(step, -2, 2)[:, None] * gradient


def _vertex_normals(vertices_mm: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices_mm[faces[:, i]] for i in range(3))
    area = np.cross(b - a, c - a)
    sums = [sum(np.bincount(corner, axis, len(vertices_mm)) for corner in faces.T) for axis in area.T]
    normals = np.stack(sums, axis=1)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _skin_weights(vertices_mm: np.ndarray, cones: list[Cone], neighbours) -> np.ndarray:
    """(V, 17) exp(-distance / 2 mm) to each bone's cones, one digit per vertex, smoothed along the surface."""
    distance = np.full((len(vertices_mm), BONES), np.inf)
    for cone in cones:
        distance[:, cone.bone] = np.minimum(distance[:, cone.bone], _cone_distance_mm(vertices_mm, cone))
    digits = distance[:, 1:16].reshape(-1, 5, 3)
    other = digits.min(axis=2).argmin(axis=1)[:, None] != np.arange(5)
    digits[other] = np.inf
    weights = np.exp(-(distance - distance.min(axis=1, keepdims=True)) / 2.0)
    weights /= weights.sum(axis=1, keepdims=True)
    for _ in range(4):
        weights = 0.5 * weights + 0.5 * _mean_of_neighbours(weights, neighbours)
    return weights / weights.sum(axis=1, keepdims=True)
