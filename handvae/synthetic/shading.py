"""How skin looks: its texture, and light on the visible surface.

Everything is computed for covered pixels only, channels first, in linear light; the result is in display space.
"""

from dataclasses import dataclass, fields
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, interpolate

from handvae.synthetic.mesh import Posed, Surface
from handvae.synthetic.skin_texture import power4, skin_texture

SHADOW_CELLS = 112
WRAP = (0.38, 0.20, 0.14)  # red light travels furthest under the skin


@dataclass(frozen=True)
class Look:
    """Skin and light of one scene. Colours are linear RGB; directions are unit vectors in the camera frame."""

    skin_rgb: np.ndarray  # (3,) albedo of the back of the hand
    palm_rgb: np.ndarray  # (3,)
    nail_rgb: np.ndarray  # (3,)
    blotches: float
    creases: float
    noise_offset: np.ndarray  # (3,) cells
    sleeve_rgb: np.ndarray  # (3,)
    sleeve_from_m: float  # how far behind the wrist it begins; beyond the forearm's end = none
    gloss: float
    light: np.ndarray  # (3,) towards the light
    light_rgb: np.ndarray  # (3,)
    sky: np.ndarray  # (3,) towards the brighter side of the surroundings
    sky_rgb: np.ndarray  # (3,)
    ground_rgb: np.ndarray  # (3,)
    shadow: float  # 0 none, 1 black where the light does not reach


def shade(surface: Surface, posed: Posed, looks: list[Look]) -> torch.Tensor:
    """(3, P) display-space colour, 0 to 1."""
    look = _of_pixels(looks, surface)
    albedo, shine = skin_texture(surface, look)
    n, p = surface.normal, surface.position_m
    to_eye = -p / _dot(p, p).sqrt()
    half = to_eye + look.light
    half = half / (_dot(half, half) + 1e-9).sqrt()
    n_light, n_half, n_eye = _dot(n, look.light), _dot(n, half).clamp(0, 1), _dot(n, to_eye).clamp(0, 1)
    lit = 1 - look.shadow * _in_shadow(surface, posed, looks)
    wrap = torch.tensor(WRAP)[:, None]
    diffuse = ((n_light + wrap) / (1 + wrap)).clamp(min=0) * (lit * look.light_rgb)
    up = 0.5 + 0.5 * _dot(n, look.sky)
    sky_up = look.sky_rgb * up
    ambient = look.ground_rgb * (1 - up) + sky_up
    hollow = _hollows(surface)
    ambient = ambient * ((0.7 + 0.3 * n_eye) * (1 - 0.75 * hollow))
    diffuse = diffuse * (1 - 0.3 * hollow)
    narrow = power4(power4(n_half))
    specular = shine * (narrow + 1.6 * narrow * narrow) * lit * (n_light > 0)
    colour = albedo * (diffuse + ambient) + specular * look.light_rgb
    colour += (0.10 * power4(1 - n_eye)) * sky_up
    return (colour / (1 + 0.18 * colour)).clamp(0, 1).sqrt()


def _of_pixels(looks: list[Look], surface: Surface) -> SimpleNamespace:
    """Each field of Look by pixel: (3, P) or (P,) float32."""
    columns = [np.concatenate([np.atleast_1d(getattr(look, field)) for field in _SIZES]) for look in looks]
    values = _per_pixel(np.stack(columns, axis=1), surface, list(_SIZES.values()))
    return SimpleNamespace(**dict(zip(_SIZES, values, strict=True)))


def _per_pixel(table: np.ndarray, surface: Surface, sizes: list[int]) -> list[torch.Tensor]:
    """A table (C, B) of numbers per scene, cut into fields of `sizes` rows: (rows, P) each, (P,) of a single row."""
    rows = torch.from_numpy(table.astype(np.float32))
    if surface.scenes > 1:  # a single scene's numbers broadcast to all pixels
        rows = rows.index_select(1, surface.scene)
    return [part[0] if len(part) == 1 else part for part in rows.split(sizes)]


def _in_shadow(surface: Surface, posed: Posed, looks: list[Look]) -> torch.Tensor:
    """(P,) share of the light that is blocked.

    The shadow maps are splatted from vertices and face centres: at their resolution these leave no gaps, and it costs a
    tenth of drawing the triangles again.
    """
    scenes = surface.scenes
    axes = np.stack([_axes_towards(look.light) for look in looks], axis=-1)  # (3, 3, B): right, up, towards the light
    a, v = torch.from_numpy(axes)[..., None], posed.vertices_m
    seen = a[:, 0] * v[0] + a[:, 1] * v[1] + a[:, 2] * v[2]
    low, high = seen[:2].amin(2), seen[:2].amax(2)
    scale = (SHADOW_CELLS - 4) / (high - low).amax(0)
    offset = 1.5 - low * scale
    faces = seen.index_select(2, posed.faces.reshape(-1)).view(3, scenes, 3, -1)
    seen = torch.cat([seen, (faces[:, :, 0] + faces[:, :, 1] + faces[:, :, 2]) * (1 / 3)], dim=2)
    cells = (seen[:2] * scale[:, None] + offset[..., None]).long()
    first_cells = SHADOW_CELLS**2 * torch.arange(scenes)
    first = (cells[1] * SHADOW_CELLS + cells[0] + first_cells[:, None]).view(-1)
    nearest = torch.full((scenes * SHADOW_CELLS**2,), -10.0)
    for step in (0, 1, SHADOW_CELLS, SHADOW_CELLS + 1):
        nearest.scatter_reduce_(0, first + step, seen[2].reshape(-1), "amax")
    table = np.concatenate([axes.transpose(1, 0, 2).reshape(9, -1), torch.cat([scale[None], offset + 0.5]).numpy()])
    right_up_near, scale, offset = _per_pixel(table, surface, [9, 1, 2])
    point = _dot(right_up_near.view(3, 3, -1), surface.position_m + 0.003 * surface.normal)
    column, row = (point[:2] * scale + offset).long().clamp(1, SHADOW_CELLS - 2)
    first = row * SHADOW_CELLS + column + first_cells.index_select(0, surface.scene)
    blocked = torch.zeros_like(point[2])
    for step_row in (-SHADOW_CELLS, 0, SHADOW_CELLS):
        for step in (-1, 0, 1):
            ahead = nearest.index_select(0, first + (step_row + step)) - point[2]
            blocked += ((ahead - 0.003) * 300).clamp(0, 1)
    return blocked * (1 / 9)


def _hollows(surface: Surface) -> torch.Tensor:
    """(P,) 0 to 1: how far a point lies behind the mean of the hand around it; stands in for ambient occlusion."""
    height, width, z = surface.height, surface.width, surface.position_m[2]
    pixels = surface.pixels + surface.scene * (height * width)  # in two maps a scene: depth, and where there is a hand
    maps = torch.zeros(surface.scenes, 2, height, width)
    maps.view(-1).index_copy_(0, pixels, z)
    maps.view(-1).index_fill_(0, pixels + height * width, 1.0)
    cell = max(1, round(min(height, width) / 80))
    coarse = avg_pool2d(avg_pool2d(maps, cell, ceil_mode=True), 5, stride=1, padding=2)
    mean_z = coarse[:, :1] / (coarse[:, 1:] + 1e-6)
    around = interpolate(mean_z, size=(height, width), mode="bilinear", align_corners=False)
    return ((z - around.view(-1).index_select(0, surface.pixels) - 0.002) * 40).clamp(0, 1)


def _axes_towards(light: np.ndarray) -> np.ndarray:
    helper = np.eye(3)[np.argmin(np.abs(light))]
    right = np.cross(helper, light)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(light, right), light]).astype(np.float32)


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


_SIZES = {field.name: 1 if field.type is float else 3 for field in fields(Look)}  # how many numbers each field has
