"""From a posed hand to pixels: depth, bone labels and the visible surface; then shading over a background.

Works on one scene at a time, so that a picture cannot depend on others. Left hands come as mirrored bone maps.
"""

from dataclasses import dataclass

import torch

from handvae.synthetic import raster
from handvae.synthetic.mesh import Template, skin
from handvae.synthetic.shading import Look, shade

NO_BONE = 255
BLUR = (0.58, 0.21)  # a lens's blur, which also hides the staircase of one sample per pixel


@dataclass(frozen=True)
class Posed:
    """The mesh in the camera frame."""

    vertices_m: torch.Tensor  # (3, V)
    normals: torch.Tensor  # (3, V)
    corners: torch.Tensor  # (3 corners, 3, F): u, v in pixels, 1/z in 1/m
    faces: torch.Tensor  # (3, F)
    mirrored: bool


@dataclass(frozen=True)
class Surface:
    """What the camera sees of the hand, one column per covered pixel."""

    pixels: torch.Tensor  # (P,) flat index, row * width + column
    position_m: torch.Tensor  # (3, P) camera frame
    normal: torch.Tensor  # (3, P) unit, towards the outside
    rest_m: torch.Tensor  # (3, P) the same points on the template
    bone: torch.Tensor  # (P,)
    height: int
    width: int


def pose_mesh(template: Template, matrices: torch.Tensor, camera: torch.Tensor) -> Posed:
    """matrices: (17, 3, 4) template -> camera frame; camera: (3, 3) intrinsics. float32 on the template's device."""
    vertices_m, normals = skin(template, matrices)
    u, v, z = camera @ vertices_m
    points = torch.stack([u / z, v / z, 1 / z])
    corners = points.index_select(1, template.faces.reshape(-1)).view(3, 3, -1).transpose(0, 1)
    return Posed(vertices_m, normals, corners, template.faces, bool(torch.linalg.det(matrices[0, :, :3].cpu()) < 0))


def depth_map(keys: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(H, W) float32 metres, inf where there is no hand."""
    far = torch.full_like(keys, torch.inf, dtype=torch.float32)
    return torch.where(keys == raster.EMPTY, far, raster.depth_m(keys)).view(height, width)


def visible_surface(
    template: Template, posed: Posed, keys: torch.Tensor, camera: torch.Tensor, height: int, width: int
) -> Surface:
    pixels = (keys != raster.EMPTY).nonzero()[:, 0]
    hit = keys.index_select(0, pixels)
    triangle, z = raster.triangle(hit), raster.depth_m(hit)
    row = torch.div(pixels, width, rounding_mode="floor")
    x, y = (pixels - row * width).float(), row.float()
    corners, facing = _barycentric(posed.corners.index_select(2, triangle), x, y)
    ids = template.faces.index_select(1, triangle)
    both = torch.cat([posed.normals, template.vertices_m])
    parts = both.index_select(1, ids.reshape(-1)).view(6, 3, -1)
    blended = parts[:, 0] * corners[0] + parts[:, 1] * corners[1] + parts[:, 2] * corners[2]
    normal = blended[:3] * (facing if posed.mirrored else -facing)  # folds of the skin show their inside: turn it out
    normal = normal / (normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2 + 1e-12).sqrt()
    position = torch.stack([(x - camera[0, 2]) * z / camera[0, 0], (y - camera[1, 2]) * z / camera[1, 1], z])
    return Surface(pixels, position, normal, blended[3:], _bones(template, triangle, ids, corners), height, width)


def bone_map(surface: Surface) -> torch.Tensor:
    """(H, W) uint8 bone of every pixel, NO_BONE where there is no hand."""
    bones = torch.full((surface.height * surface.width,), NO_BONE, dtype=torch.uint8, device=surface.pixels.device)
    return bones.index_copy_(0, surface.pixels, surface.bone.to(torch.uint8)).view(surface.height, surface.width)


def compose(surface: Surface, posed: Posed, look: Look, background: torch.Tensor) -> torch.Tensor:
    """The hand, shaded, over a background (3, H, W) of values 0 to 1 (display space): (H, W, 3) uint8."""
    _, height, width = background.shape
    image = background.reshape(3, -1).clone()
    image.index_copy_(1, surface.pixels, shade(surface, posed, look))
    image = image.view(3, height, width)
    _blur_around(image, surface.pixels)
    return (image * 255 + 0.5).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()


def _barycentric(corners: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Perspective-correct weights (3, P) of the corners, and the sign (P,) of the triangle's area on the screen."""
    u, v, w = corners[:, 0] - x, corners[:, 1] - y, corners[:, 2]
    area = torch.stack([u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]])
    facing = torch.sign(area[0] + area[1] + area[2])
    weights = ((area * facing).clamp(min=0) + 1e-6) * w
    return weights / (weights[0] + weights[1] + weights[2]), facing


def _bones(template: Template, triangle: torch.Tensor, ids: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
    """The bone of greatest blended weight, so that borders between parts are smooth lines."""
    bone = template.bones.index_select(0, ids[0])
    border = template.mixed.index_select(0, triangle).nonzero()[:, 0]
    weights = template.weights.index_select(1, ids.index_select(1, border).reshape(-1)).view(17, 3, -1)
    c = corners.index_select(1, border)
    return bone.index_copy_(0, border, (weights[:, 0] * c[0] + weights[:, 1] * c[1] + weights[:, 2] * c[2]).argmax(0))


def _blur_around(image: torch.Tensor, pixels: torch.Tensor) -> None:
    """Blur in place the box around the hand."""
    if not len(pixels):
        return
    _, height, width = image.shape
    row = torch.div(pixels, width, rounding_mode="floor")
    column = pixels - row * width
    top, bottom = max(int(row[0]) - 2, 0), min(int(row[-1]) + 3, height)
    left, right = max(int(column.min()) - 2, 0), min(int(column.max()) + 3, width)
    box = image[:, top:bottom, left:right]
    for axis in (1, 2):
        size = box.shape[axis]
        if size > 2:
            inner = box.narrow(axis, 1, size - 2) * BLUR[0]
            inner += (box.narrow(axis, 0, size - 2) + box.narrow(axis, 2, size - 2)) * BLUR[1]
            box.narrow(axis, 1, size - 2).copy_(inner)
