"""A scene: one hand before one camera, drawn from a random generator of its own, and its picture.

Scene i of a split comes from default_rng([seed, split, i]) alone, so it never depends on the others.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from handvae.base.geometry import project
from handvae.base.joints import LEFT, RIGHT
from handvae.synthetic import render
from handvae.synthetic.backgrounds import Background, draw_background, sample_background
from handvae.synthetic.kinematics import FOREARM, HandPose, HandShape, bone_matrices, forward_kinematics, sample_shape
from handvae.synthetic.mesh import load_template
from handvae.synthetic.poses import sample_pose
from handvae.synthetic.shading import Look, shade
from handvae.synthetic.template import FOREARM_MM

MARGIN = 0.02  # of the image: how far inside the border every joint lies
NEAREST_M, FARTHEST_M = 0.24, 0.95
SKIN_SRGB = np.array(  # from light to dark
    [[0.96, 0.8, 0.71], [0.9, 0.69, 0.56], [0.78, 0.56, 0.42], [0.6, 0.4, 0.28], [0.4, 0.26, 0.19], [0.26, 0.17, 0.13]]
)


@dataclass(frozen=True)
class PlacedHand:
    """A hand in the camera frame (x right, y down, z forward)."""

    side: int  # joints.LEFT or joints.RIGHT
    joints_m: np.ndarray  # (21, 3) HAND21 order, the root is the wrist
    radii_m: np.ndarray  # (21,) of the flesh around the joints
    matrices: np.ndarray  # (17, 3, 4) template -> camera frame


@dataclass(frozen=True)
class Scene:
    hand: PlacedHand
    camera: np.ndarray  # (3, 3) intrinsics
    look: Look
    background: Background
    backdrop: np.ndarray  # (3,) plane behind the hand: inverse depth = backdrop @ (u, v, 1), in 1/m


@dataclass(frozen=True)
class Picture:
    image_u8: np.ndarray  # (H, W, 3) RGB
    bones: np.ndarray  # (H, W) uint8 bone seen, render.NO_BONE behind the hand
    depth_m: np.ndarray  # (H, W) float32, inf where there is no hand


def scene_rng(seed: int, split: int, index: int) -> np.random.Generator:
    return np.random.default_rng([seed, split, index])


def sample_scene(rng: np.random.Generator, height: int, width: int) -> Scene:
    """One hand of either side in a random pose, seen from anywhere, all joints in the picture."""
    side = LEFT if rng.random() < 0.5 else RIGHT
    shape = sample_shape(rng)
    pose = sample_pose(rng, shape)
    size = max(height, width)
    focal = float(rng.uniform(0.95, 1.70)) * size
    camera = np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    hand = _place_in_view(rng, shape, pose, side, camera, height, width)
    look, background = sample_look(rng), sample_background(rng)
    return Scene(hand, camera, look, background, _sample_backdrop(rng, hand, camera, height, width))


def place_hand(shape: HandShape, pose: HandPose, side: int, rotation: np.ndarray, wrist_m: np.ndarray) -> PlacedHand:
    """Put a hand into the camera frame: `rotation` (3, 3) turns the hand frame, the wrist goes to `wrist_m` (3,)."""
    skeleton = forward_kinematics(shape, pose)
    linear = rotation @ np.diag([-1.0, 1.0, 1.0]) if side == LEFT else rotation
    matrices = linear @ bone_matrices(shape, skeleton)
    matrices[:, :, 3] += wrist_m
    return PlacedHand(side, skeleton.joints_m @ linear.T + wrist_m, shape.joint_radii_m, matrices)


def moved(hand: PlacedHand, offset_m: np.ndarray) -> PlacedHand:
    """The hand `offset_m` (3,) further; what a camera to the right sees is the hand moved to the left."""
    matrices = hand.matrices.copy()
    matrices[:, :, 3] += offset_m
    return replace(hand, joints_m=hand.joints_m + offset_m, matrices=matrices)


def render_scenes(scenes: list[Scene], height: int, width: int) -> list[Picture]:
    """Render scenes at once, each as if it were alone."""
    template, cameras = load_template(), _stacked([scene.camera for scene in scenes])
    posed = render.pose_mesh(template, _stacked([scene.hand.matrices for scene in scenes]), cameras)
    keys = render.draw(posed, height, width)
    surface = render.visible_surface(template, posed, keys, cameras, height, width)
    depth_m, bones = render.depth_map(keys, height, width).numpy(), render.bone_map(surface).numpy()
    colour = shade(surface, posed, [scene.look for scene in scenes])
    backgrounds = [draw_background(scene.background, height, width) for scene in scenes]
    images = [image.numpy() for image in render.compose(surface, colour, backgrounds)]
    return [Picture(*picture) for picture in zip(images, bones, depth_m, strict=True)]


def render_depth(hand: PlacedHand, camera: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W) float32 metres from the camera's plane, inf where there is no hand. camera: (3, 3) intrinsics."""
    posed = render.pose_mesh(load_template(), _stacked([hand.matrices]), _stacked([camera]))
    return render.depth_map(render.draw(posed, height, width), height, width)[0].numpy()


def _stacked(arrays: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays).astype(np.float32))


def visible_joints(hand: PlacedHand, uv_px: np.ndarray, depth_m: np.ndarray) -> np.ndarray:
    """(21,) bool: in the picture, and nothing drawn there is nearer than the joint by more than its own flesh."""
    height, width = depth_m.shape
    column, row = np.round(uv_px).astype(int).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    seen_m = depth_m[row.clip(0, height - 1), column.clip(0, width - 1)]
    return inside & (seen_m > hand.joints_m[:, 2] - (1.35 * hand.radii_m + 0.003))


def backdrop_depth_m(backdrop: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W) float32 depth of the plane behind the hand."""
    rows, columns = np.arange(height)[:, None], np.arange(width)[None]
    return (1 / (backdrop[0] * columns + backdrop[1] * rows + backdrop[2])).astype(np.float32)


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """Uniform in SO(3), from a random unit quaternion."""
    return rotation_matrix(_unit(rng.standard_normal(4)))


def rotation_matrix(quaternion: np.ndarray) -> np.ndarray:
    """(3, 3) from a unit quaternion (4,) w, x, y, z."""
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _place_in_view(
    rng, shape: HandShape, pose: HandPose, side: int, camera: np.ndarray, height: int, width: int
) -> PlacedHand:
    """Redraw rotation and place until all joints are in the picture and the forearm does not point into the lens."""
    lens = np.array([width, height])
    while True:
        rotation, fill, offset = random_rotation(rng), rng.uniform(0.34, 0.68), rng.random(2)
        if rotation[2, 1] > 0.75:
            continue
        hand = place_hand(shape, pose, side, rotation, np.zeros(3))
        extent_m = np.ptp(hand.joints_m[:, :2], axis=0).max()
        distance_m = np.clip(camera[0, 0] * extent_m / (fill * min(height, width)), NEAREST_M, FARTHEST_M)
        centre_m = np.array([0, 0, distance_m - hand.joints_m[:, 2].mean()])
        uv_px = project(hand.joints_m + centre_m, camera)
        low, high = uv_px.min(axis=0), uv_px.max(axis=0)
        room_px = lens * (1 - 2 * MARGIN) - (high - low)
        if (room_px < 0).any():
            continue
        shift_px = lens * MARGIN + offset * room_px - low
        wrist_m = centre_m + [*(shift_px * distance_m / camera[0, 0]), 0]
        hand = place_hand(shape, pose, side, rotation, wrist_m)
        if in_view(hand, camera, height, width):
            return hand


def in_view(hand: PlacedHand, camera: np.ndarray, height: int, width: int) -> bool:
    """Whether all joints lie inside the picture, MARGIN from its border, and the forearm's flat end does not."""
    lens, uv_px = np.array([width, height]), project(hand.joints_m, camera)
    inside = ((uv_px >= MARGIN * lens) & (uv_px <= (1 - MARGIN) * lens - 1)).all()
    return bool(inside and not cut_in_view(hand, camera, height, width))


def cut_in_view(hand: PlacedHand, camera: np.ndarray, height: int, width: int) -> bool:
    """Whether the flat end of the forearm comes too near to the lens, or faces it inside the picture."""
    end_m, wrist_m = hand.matrices[FOREARM] @ [0, -FOREARM_MM * 1e-3, 0, 1], hand.matrices[FOREARM][:, 3]
    if end_m[2] <= 0.12:
        return True
    radius_px = 0.05 * camera[0, 0] / end_m[2]
    uv_px = project(end_m, camera)
    in_picture = (uv_px > -radius_px).all() and (uv_px < np.array([width, height]) + radius_px).all()
    return bool(in_picture and (end_m - wrist_m) @ end_m < 0)


def sample_look(rng: np.random.Generator) -> Look:
    """Skin from light to dark; a key light in front of or beside the hand; light from the surroundings."""
    tone = rng.uniform(0, len(SKIN_SRGB) - 1)
    srgb = np.array([np.interp(tone, np.arange(len(SKIN_SRGB)), SKIN_SRGB[:, c]) for c in range(3)])
    srgb = srgb * (1 + np.array([0.03, 0.035, 0.05]) * rng.standard_normal(3))
    palm = srgb + (np.array([0.93, 0.72, 0.62]) - srgb) * (0.12 + 0.08 * tone)
    nail = palm * [1.02, 0.88, 0.88] + 0.05
    skin, palm, nail = (np.clip(colour, 0, 1) ** 2 for colour in (srgb, palm, nail))
    light = _unit(np.array([1.0, 1.0, 0.7]) * rng.standard_normal(3) + [0, -0.5, -0.9])
    if light[2] > 0.3:  # a light far behind the hand leaves only its outline
        light = light * [1, 1, -1]
    warmth = rng.normal(0, 0.10)
    light_rgb = rng.uniform(0.7, 1.35) * np.clip([1 + warmth, 1.0, 1 - warmth], 0.6, 1.4)
    sky_rgb = rng.uniform(0.22, 0.55) * np.clip(1 + 0.12 * rng.standard_normal(3), 0.6, 1.4)
    return Look(
        skin_rgb=skin,
        palm_rgb=palm,
        nail_rgb=nail,
        blotches=float(rng.uniform(0.4, 1.3)),
        creases=float(rng.uniform(0.20, 0.42)),
        noise_offset=rng.integers(1 << 10, 1 << 12, 3),
        sleeve_rgb=np.clip(rng.uniform(0.08, 0.85) * (1 + 0.25 * rng.standard_normal(3)), 0.02, 0.95) ** 2,
        sleeve_from_m=float(rng.uniform(0.03, 0.15)) if rng.random() < 0.35 else 1.0,
        gloss=float(rng.uniform(0.02, 0.14)),
        light=light,
        light_rgb=light_rgb,
        sky=_unit(rng.standard_normal(3) * [0.5, 0.3, 0.3] + [0, -1, -0.3]),
        sky_rgb=sky_rgb,
        ground_rgb=sky_rgb * rng.uniform(0.35, 0.8) * np.clip(1 + 0.12 * rng.standard_normal(3), 0.6, 1.4),
        shadow=float(rng.uniform(0.6, 0.95)),
    )


def _sample_backdrop(
    rng: np.random.Generator, hand: PlacedHand, camera: np.ndarray, height: int, width: int
) -> np.ndarray:
    """A slightly tilted plane 0.4 to 2.5 m behind the hand, nowhere beyond 4.9 m."""
    distance_m = hand.joints_m[:, 2].max() + rng.uniform(0.4, 2.5)
    tilt = rng.uniform(-0.25, 0.25, 2) / camera[0, 0]  # relative change of inverse depth per pixel
    return np.array([*tilt, 1 - tilt @ [width / 2, height / 2]]) / distance_m


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
