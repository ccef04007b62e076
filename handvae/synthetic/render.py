"""From posed hands to pixels: depth, bone labels and the visible surface; then shading over backgrounds.

Works on several scenes at once. No picture depends on those beside it: every sum is written out, so that each number
comes from the same operations in the same order. Left hands come as mirrored bone maps.
"""

import numpy as np
import torch

from handvae.synthetic import raster
from handvae.synthetic.mesh import Posed, Surface, Template, skin

NO_BONE = 255
BLUR = (0.58, 0.21)  # a lens's blur, which also hides the staircase of one sample per pixel


def pose_mesh(template: Template, matrices: torch.Tensor, cameras: torch.Tensor) -> Posed:
    """matrices: (B, 17, 3, 4) template -> camera frame; cameras: (B, 3, 3) intrinsics."""
    vertices_m, normals = skin(template, matrices)
    x, y, z = vertices_m
    w = 1 / z
    (fx, cx), (fy, cy) = (cameras[:, axis, [axis, 2]].t()[..., None] for axis in (0, 1))
    points = torch.stack([fx * x * w + cx, fy * y * w + cy, w])
    (u0, v0), (u1, v1), (u2, v2) = (points[:2].index_select(2, ids) for ids in template.faces)
    area = (u1 - u0) * (v2 - v0) - (u2 - u0) * (v1 - v0)
    mirrored = np.linalg.det(matrices[:, 0, :, :3].numpy()) < 0
    outward = torch.from_numpy(np.where(mirrored, 1, -1).astype(np.float32))  # v runs down
    drawn = (area * outward[:, None] > 0).reshape(-1).nonzero()[:, 0]
    scene = torch.div(drawn, template.faces.shape[1], rounding_mode="floor")
    ids = template.faces.index_select(1, drawn - scene * template.faces.shape[1]) + scene * x.shape[1]
    corners = points.view(3, -1).index_select(1, ids.view(-1)).view(3, 3, -1).transpose(0, 1)
    return Posed(vertices_m, normals, template.faces, drawn, corners)


def draw(posed: Posed, height: int, width: int) -> torch.Tensor:
    """(B * height * width,) keys, see raster."""
    scene = torch.div(posed.drawn, posed.faces.shape[1], rounding_mode="floor")
    return raster.rasterise(posed.corners, height, width, scene, posed.vertices_m.shape[1])


def depth_map(keys: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(B, H, W) float32 metres, inf where there is no hand."""
    pixels = (keys != raster.EMPTY).nonzero()[:, 0]
    far = torch.full_like(keys, torch.inf, dtype=torch.float32)
    return far.index_copy_(0, pixels, raster.depth_m(keys.index_select(0, pixels))).view(-1, height, width)


def visible_surface(
    template: Template, posed: Posed, keys: torch.Tensor, cameras: torch.Tensor, height: int, width: int
) -> Surface:
    """What the pixels of `keys` (see draw) show; cameras (B, 3, 3)."""
    pixels = (keys != raster.EMPTY).nonzero()[:, 0]
    hit = keys.index_select(0, pixels)
    drawn, z = raster.triangle(hit), raster.depth_m(hit)
    (_, scenes, vertices), faces = posed.vertices_m.shape, template.faces.shape[1]
    line = torch.div(pixels, width, rounding_mode="floor")
    scene = torch.div(line, height, rounding_mode="floor")
    x, y = (pixels - line * width).float(), (line - scene * height).float()
    corners = _barycentric(posed.corners.index_select(2, drawn), x, y)
    triangle = posed.drawn.index_select(0, drawn) - scene * faces
    ids = template.faces.index_select(1, triangle)
    normal = _blended(posed.normals.view(3, -1), ids + scene * vertices, corners)
    normal = normal / (normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2] + 1e-12).sqrt()
    fx, fy, cx, cy = cameras[:, (0, 1, 0, 1), (0, 1, 2, 2)].t().index_select(1, scene)
    position = torch.stack([(x - cx) * z / fx, (y - cy) * z / fy, z])
    rest, bone = _blended(template.vertices_m, ids, corners), _bones(template, triangle, ids, corners)
    return Surface(pixels, scene, position, normal, rest, bone, scenes, height, width)


def bone_map(surface: Surface) -> torch.Tensor:
    """(B, H, W) uint8 bone of every pixel, NO_BONE where there is no hand."""
    shape = surface.scenes, surface.height, surface.width
    bones = torch.full(shape, NO_BONE, dtype=torch.uint8)
    bones.view(-1).index_copy_(0, surface.pixels, surface.bone.to(torch.uint8))
    return bones


def compose(surface: Surface, colour: torch.Tensor, backgrounds: list[torch.Tensor]) -> list[torch.Tensor]:
    """Hands of display-space colours (3, P) over backgrounds (3, H, W), all 0 to 1: an (H, W, 3) uint8 each."""
    counts = torch.bincount(surface.scene, minlength=surface.scenes).tolist()
    first_pixels = range(0, surface.scenes * surface.height * surface.width, surface.height * surface.width)
    scenes = zip(first_pixels, surface.pixels.split(counts), colour.split(counts, 1), backgrounds, strict=True)
    return [_over(pixels - first, hand_colour, background) for first, pixels, hand_colour, background in scenes]


def to_u8(image: torch.Tensor) -> torch.Tensor:
    """(3, H, W) of 0 to 1 -> (H, W, 3) uint8."""
    return (image * 255 + 0.5).clamp(0, 255).to(torch.uint8).permute(1, 2, 0)


def _over(pixels: torch.Tensor, colour: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
    """Only the box around the hand is mixed and blurred."""
    _, height, width = background.shape
    image_u8 = to_u8(background).contiguous()
    if not len(pixels):
        return image_u8
    row = torch.div(pixels, width, rounding_mode="floor")
    column = pixels - row * width
    top, bottom = max(int(row[0]) - 2, 0), min(int(row[-1]) + 3, height)
    left, right = max(int(column.min()) - 2, 0), min(int(column.max()) + 3, width)
    box = background[:, top:bottom, left:right].clone(memory_format=torch.contiguous_format)
    box.view(3, -1).index_copy_(1, (row - top) * (right - left) + (column - left), colour)
    _blur(box)
    image_u8[top:bottom, left:right] = to_u8(box)
    return image_u8


def _barycentric(corners: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Perspective-correct weights (3, P) of the corners."""
    u, v, w = corners[:, 0] - x, corners[:, 1] - y, corners[:, 2]
    area = torch.stack([u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]])
    weights = ((area * torch.sign(area[0] + area[1] + area[2])).clamp(min=0) + 1e-6) * w
    return weights / (weights[0] + weights[1] + weights[2])


def _blended(table: torch.Tensor, ids: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
    """(C, P) from a table (C, V) of what the corners' vertices `ids` (3, P) have."""
    parts = table.index_select(1, ids.reshape(-1)).view(len(table), 3, -1)
    return parts[:, 0] * corners[0] + parts[:, 1] * corners[1] + parts[:, 2] * corners[2]


def _bones(template: Template, triangle: torch.Tensor, ids: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
    """The bone of greatest blended weight, so that borders between parts are smooth lines."""
    bone = template.bones.index_select(0, ids[0])
    border = template.mixed.index_select(0, triangle).nonzero()[:, 0]
    weights = _blended(template.weights, ids.index_select(1, border), corners.index_select(1, border))
    return bone.index_copy_(0, border, weights.argmax(0))


def _blur(box: torch.Tensor) -> None:
    """In place, all but its rim; (3, H, W)."""
    for axis in (1, 2):
        size = box.shape[axis]
        if size > 2:
            inner = box.narrow(axis, 1, size - 2) * BLUR[0]
            inner += (box.narrow(axis, 0, size - 2) + box.narrow(axis, 2, size - 2)) * BLUR[1]
            box.narrow(axis, 1, size - 2).copy_(inner)
