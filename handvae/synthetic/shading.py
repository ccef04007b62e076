"""How skin looks: textures solid in the template's rest space, and light on the visible surface.

Everything is computed for covered pixels only, channels first, in linear light; the result is in display space.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, interpolate

from handvae.synthetic.kinematics import BONES, FOREARM, PALM, RADII_M, REFERENCE_SHAPE, REST

if TYPE_CHECKING:
    from handvae.synthetic.render import Posed, Surface

NOISE_CELLS, NOISE_CELL_M = 64, 0.0012
NOISE_AXES = (
    (2 / 3, -1 / 3, 2 / 3),
    (2 / 3, 2 / 3, -1 / 3),
    (-1 / 3, 2 / 3, 2 / 3),
)  # oblique: no terraces along the arm
SHADOW_CELLS = 112
WRAP = (0.38, 0.20, 0.14)  # red light travels furthest under the skin

# Lines of the palm, millimetres on the template: circle centre, radius, x range, y range.
PALM_LINES_MM = (
    ((42.0, 28.0), 34.0, (2.0, 29.0), (6.0, 58.0)),
    ((-8.0, 128.0), 80.0, (-24.0, 28.0), (40.0, 60.0)),
    ((-30.0, 110.0), 48.0, (-34.0, 12.0), (60.0, 84.0)),
)


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


def shade(surface: Surface, posed: Posed, look: Look) -> torch.Tensor:
    """(3, P) display-space colour, 0 to 1."""
    device = surface.position_m.device
    albedo, shine = _skin(surface, look, device)
    n, p = surface.normal, surface.position_m
    to_eye = -p / (p[0] ** 2 + p[1] ** 2 + p[2] ** 2).sqrt()
    light, sky = look.light.tolist(), look.sky.tolist()
    n_light = _dot(n, light)
    half = to_eye + _column(look.light, device)
    half = half / (half[0] ** 2 + half[1] ** 2 + half[2] ** 2 + 1e-9).sqrt()
    n_half = (n * half).sum(0).clamp(0, 1)
    n_eye = (n * to_eye).sum(0).clamp(0, 1)
    lit = 1 - look.shadow * _in_shadow(surface, posed, look)
    wrap = torch.tensor(WRAP, device=device)[:, None]
    diffuse = ((n_light + wrap) / (1 + wrap)).clamp(min=0) * (lit * _column(look.light_rgb, device))
    up = 0.5 + 0.5 * _dot(n, sky)
    ambient = _column(look.ground_rgb, device) * (1 - up) + _column(look.sky_rgb, device) * up
    hollow = _hollows(surface)
    ambient = ambient * ((0.7 + 0.3 * n_eye) * (1 - 0.75 * hollow))
    diffuse = diffuse * (1 - 0.3 * hollow)
    narrow, rim = _power16(n_half), (1 - n_eye) ** 4
    specular = shine * (narrow + 1.6 * narrow * narrow) * lit * (n_light > 0)
    colour = albedo * (diffuse + ambient) + specular * _column(look.light_rgb, device)
    colour += 0.10 * rim * up * _column(look.sky_rgb, device)
    return (colour / (1 + 0.18 * colour)).clamp(0, 1).sqrt()


def _skin(surface: Surface, look: Look, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Albedo (3, P) and the strength of the highlight (P,)."""
    rest = surface.rest_m
    frame = _rest_frames(device).index_select(1, surface.bone)
    x, y, z = (
        frame[4 * i] * rest[0] + frame[4 * i + 1] * rest[1] + frame[4 * i + 2] * rest[2] + frame[4 * i + 3]
        for i in range(3)
    )
    length_mm = frame[12]
    on_digit = ((surface.bone != PALM) & (surface.bone != FOREARM)).float()
    palmar = (0.5 + 0.9 * z).clamp(0, 1)
    fine, blotch = _noise(surface, look, device)
    albedo = _column(look.skin_rgb, device) + palmar * _column(look.palm_rgb - look.skin_rgb, device)
    lines = on_digit * _joint_creases(y, length_mm, palmar) + (1 - on_digit) * palmar * _palm_lines(rest, surface.bone)
    tone = (1 + 0.035 * look.blotches * fine) * (1 - look.creases * lines)
    redness = look.blotches * (0.05 * blotch + 0.08 * on_digit * (y - 0.3))
    albedo = albedo * tone * torch.stack([1 + 0.5 * redness, 1 - redness, 1 - 0.8 * redness])
    is_end = frame[13]
    back = is_end * (z < -0.1)
    outline = ((x / 0.86) ** 4 + ((y - 0.74) / 0.25) ** 4 - 1) * back  # of a nail: negative inside
    nail = (-4 * outline).clamp(0, 1)
    free_edge = 0.35 * ((y - 0.90) * 12).clamp(0, 1)
    albedo = albedo * (1 - 0.35 * back * _bump(outline / 0.5, 2))  # the fold of skin around it
    albedo = albedo + nail * (_column(look.nail_rgb, device) * (1 + free_edge) - albedo)
    sleeve = ((-rest[1] - look.sleeve_from_m) * 400).clamp(0, 1)
    weave = 1 + 0.10 * fine
    albedo = albedo + sleeve * (_column(look.sleeve_rgb, device) * weave - albedo)
    shine = look.gloss * (1 + 0.15 * fine) * (1 + 3 * nail) * (1 - sleeve)
    return albedo, shine


def _joint_creases(y: torch.Tensor, length_mm: torch.Tensor, palmar: torch.Tensor) -> torch.Tensor:
    """Lines across a digit at its joints: one deep line on the palmar side, three faint ones on the back."""
    from_start, from_end = y * length_mm, (1 - y) * length_mm
    near = torch.minimum(from_start.abs(), from_end.abs())
    front = 0.8 * _bump(near / 1.5, 2)
    back = 0.35 * (_bump(near / 0.9, 2) + _bump((near - 2.4) / 0.9, 2))
    return front * palmar + back * (1 - palmar)


def _palm_lines(rest_m: torch.Tensor, bone: torch.Tensor) -> torch.Tensor:
    x, y = rest_m[0] * 1e3, rest_m[1] * 1e3
    total = torch.zeros_like(x)
    for (cx, cy), radius, (x0, x1), (y0, y1) in PALM_LINES_MM:
        distance = ((x - cx) ** 2 + (y - cy) ** 2).sqrt() - radius
        inside = (
            ((x - x0) * 0.2).clamp(0, 1)
            * ((x1 - x) * 0.2).clamp(0, 1)
            * ((y - y0) * 0.2).clamp(0, 1)
            * ((y1 - y) * 0.2).clamp(0, 1)
        )
        total += _bump(distance / 1.5, 2) * inside
    wrist = _bump((y + 1 - 0.004 * x * x) / 1.3, 2) + 0.6 * _bump((y + 6 - 0.004 * x * x) / 1.2, 2)
    return (total * (bone == PALM) + 0.6 * wrist).clamp(0, 1)


def _noise(surface: Surface, look: Look, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    turned = torch.tensor(NOISE_AXES, device=device) @ surface.rest_m
    cells = (turned * (1 / NOISE_CELL_M) + _column(look.noise_offset, device)).long() & (NOISE_CELLS - 1)
    index = (cells[0] * NOISE_CELLS + cells[1]) * NOISE_CELLS + cells[2]
    return _noise_volume(device).index_select(1, index).unbind(0)


def _in_shadow(surface: Surface, posed: Posed, look: Look) -> torch.Tensor:
    """(P,) share of the light that is blocked.

    The shadow map is splatted from vertices and face centres: at its resolution they leave no gaps, and it costs a
    tenth of drawing the triangles again.
    """
    device = surface.position_m.device
    axes = torch.from_numpy(_axes_towards(look.light)).to(device)
    seen = axes @ posed.vertices_m  # right, up, towards the light
    low, high = seen[:2].amin(1), seen[:2].amax(1)
    scale = (SHADOW_CELLS - 4) / (high - low).amax()
    offset = 1.5 - low * scale
    nearest = torch.full((SHADOW_CELLS**2,), -10.0, device=device)
    faces = seen.index_select(1, posed.faces.reshape(-1)).view(3, 3, -1)
    seen = torch.cat([seen, (faces[:, 0] + faces[:, 1] + faces[:, 2]) * (1 / 3)], dim=1)
    column, row = (seen[0] * scale + offset[0]), (seen[1] * scale + offset[1])
    first = row.long() * SHADOW_CELLS + column.long()
    for step in (0, 1, SHADOW_CELLS, SHADOW_CELLS + 1):
        nearest.scatter_reduce_(0, first + step, seen[2], "amax")
    point = axes @ (surface.position_m + 0.003 * surface.normal)
    column, row = point[0] * scale + (offset[0] + 0.5), point[1] * scale + (offset[1] + 0.5)
    first = row.long().clamp(1, SHADOW_CELLS - 2) * SHADOW_CELLS + column.long().clamp(1, SHADOW_CELLS - 2)
    blocked = torch.zeros_like(column)
    for step_row in (-SHADOW_CELLS, 0, SHADOW_CELLS):
        for step in (-1, 0, 1):
            ahead = nearest.index_select(0, first + (step_row + step)) - point[2]
            blocked += ((ahead - 0.003) * 300).clamp(0, 1)
    return blocked * (1 / 9)


def _hollows(surface: Surface) -> torch.Tensor:
    """(P,) 0 to 1: how far a point lies behind the mean of the hand around it; stands in for ambient occlusion."""
    height, width, z = surface.height, surface.width, surface.position_m[2]
    maps = torch.zeros(2, height * width, device=z.device)
    maps[0].index_copy_(0, surface.pixels, z)
    maps[1].index_fill_(0, surface.pixels, 1.0)
    cell = max(1, round(min(height, width) / 80))
    coarse = avg_pool2d(maps.view(1, 2, height, width), cell, ceil_mode=True)
    coarse = avg_pool2d(coarse, 5, stride=1, padding=2)
    around = interpolate(
        (coarse[:, :1] / (coarse[:, 1:] + 1e-6)), size=(height, width), mode="bilinear", align_corners=False
    )
    return ((z - around.reshape(-1).index_select(0, surface.pixels) - 0.002) * 40).clamp(0, 1)


def _axes_towards(light: np.ndarray) -> np.ndarray:
    helper = np.eye(3)[np.argmin(np.abs(light))]
    right = np.cross(helper, light)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(light, right), light]).astype(np.float32)


@lru_cache(maxsize=4)
def _rest_frames(device: torch.device) -> torch.Tensor:
    """(14, 17): a map from rest points to x / radius, y / length, z / radius of a bone; length in mm; is it last."""
    table = np.zeros((14, BONES))
    radii = np.full(BONES, 0.014)
    lengths = np.full(BONES, 0.08)
    radii[1:16], lengths[1:16] = (0.5 * (RADII_M[:, :3] + RADII_M[:, 1:])).ravel(), REFERENCE_SHAPE.lengths_m.ravel()
    for bone in range(BONES):
        scale = np.array([1 / radii[bone], 1 / lengths[bone], 1 / radii[bone]])[:, None]
        linear = scale * REST.rotations[bone].T
        table[:12, bone] = np.concatenate([linear, -linear @ REST.origins_m[bone][:, None]], axis=1).ravel()
    table[12], table[13, 3:16:3] = lengths * 1e3, 1
    return torch.from_numpy(table.astype(np.float32)).to(device)


@lru_cache(maxsize=4)
def _noise_volume(device: torch.device) -> torch.Tensor:
    """(2, 64^3) periodic noise of unit deviation: fine grain, and blotches of about a centimetre."""
    rng = np.random.default_rng(20180618)
    frequency = np.fft.fftfreq(NOISE_CELLS)
    f2 = frequency[:, None, None] ** 2 + frequency[None, :, None] ** 2 + np.fft.rfftfreq(NOISE_CELLS) ** 2
    volumes = []
    for low, high in ((0.05, 0.30), (0.005, 0.035)):
        band = np.exp(-f2 / high**2) - np.exp(-f2 / low**2)
        noise = np.fft.irfftn(
            np.fft.rfftn(rng.standard_normal((NOISE_CELLS,) * 3)) * band, s=(NOISE_CELLS,) * 3, axes=(0, 1, 2)
        )
        volumes.append(np.clip(noise / noise.std(), -2.5, 2.5).reshape(-1))
    return torch.from_numpy(np.stack(volumes).astype(np.float32)).to(device)


def _column(values: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32)).to(device)[:, None]


def _dot(vectors: torch.Tensor, direction: list[float]) -> torch.Tensor:
    return vectors[0] * direction[0] + vectors[1] * direction[1] + vectors[2] * direction[2]


def _bump(x: torch.Tensor, sharpness: int) -> torch.Tensor:
    """1 at 0, 0 from |x| = 1 on."""
    x = x * x
    return (1 - (x * x if sharpness == 4 else x)).clamp(min=0)


def _power16(x: torch.Tensor) -> torch.Tensor:
    x = x * x
    x = x * x
    x = x * x
    return x * x
