"""How skin looks: textures solid in the template's rest space, and light on the visible surface.

Everything is computed for covered pixels only, channels first, in linear light; the result is in display space.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, interpolate

from handvae.synthetic.kinematics import BONES, PALM, RADII_M, REFERENCE_SHAPE, REST

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


def shade(surface: Surface, posed: Posed, looks: list[Look]) -> torch.Tensor:
    """(3, P) display-space colour, 0 to 1."""
    look = _of_pixels(looks, surface)
    albedo, shine = _skin(surface, look)
    n, p = surface.normal, surface.position_m
    to_eye = -p / _dot(p, p).sqrt()
    half = to_eye + look.light
    half = half / (_dot(half, half) + 1e-9).sqrt()
    n_light, n_half, n_eye = _dot(n, look.light), _dot(n, half).clamp(0, 1), _dot(n, to_eye).clamp(0, 1)
    lit = 1 - look.shadow * _in_shadow(surface, posed, looks)
    wrap = torch.tensor(WRAP, device=p.device)[:, None]
    diffuse = ((n_light + wrap) / (1 + wrap)).clamp(min=0) * (lit * look.light_rgb)
    up = 0.5 + 0.5 * _dot(n, look.sky)
    sky_up = look.sky_rgb * up
    ambient = look.ground_rgb * (1 - up) + sky_up
    hollow = _hollows(surface)
    ambient = ambient * ((0.7 + 0.3 * n_eye) * (1 - 0.75 * hollow))
    diffuse = diffuse * (1 - 0.3 * hollow)
    narrow = _power16(n_half)
    specular = shine * (narrow + 1.6 * narrow * narrow) * lit * (n_light > 0)
    colour = albedo * (diffuse + ambient) + specular * look.light_rgb
    colour += (0.10 * _power4(1 - n_eye)) * sky_up
    return (colour / (1 + 0.18 * colour)).clamp(0, 1).sqrt()


def _of_pixels(looks: list[Look], surface: Surface) -> SimpleNamespace:
    """Each field of Look as (3, P) or (P,), float32: what the pixels' scenes have."""
    columns = [np.concatenate([np.atleast_1d(getattr(look, field)) for field in _SIZES]) for look in looks]
    values = _per_pixel(np.stack(columns, axis=1), surface, list(_SIZES.values()))
    return SimpleNamespace(**dict(zip(_SIZES, values, strict=True)))


def _per_pixel(table: np.ndarray, surface: Surface, sizes: list[int]) -> list[torch.Tensor]:
    """A table (C, B) of the scenes cut into fields of so many rows: (rows, P) each, (P,) if it is one row."""
    rows = torch.from_numpy(table.astype(np.float32)).to(surface.pixels.device)
    if surface.scenes > 1:  # one scene's numbers fit all pixels as they are
        rows = rows.index_select(1, surface.scene)
    return [part[0] if len(part) == 1 else part for part in rows.split(sizes)]


def _skin(surface: Surface, look: SimpleNamespace) -> tuple[torch.Tensor, torch.Tensor]:
    """Albedo (3, P) and the strength of the highlight (P,)."""
    rest = surface.rest_m
    frame = _rest_frames(rest.device).index_select(1, surface.bone)
    maps = frame[:12].view(3, 4, -1)
    x, y, z = maps[:, 0] * rest[0] + maps[:, 1] * rest[1] + maps[:, 2] * rest[2] + maps[:, 3]
    length_mm, is_end, on_digit = frame[12:]
    palmar = (0.5 + 0.9 * z).clamp(0, 1)
    fine, blotch = _noise(surface, look)
    albedo = look.skin_rgb + palmar * (look.palm_rgb - look.skin_rgb)
    lines = on_digit * _joint_creases(y, length_mm, palmar) + (1 - on_digit) * palmar * _palm_lines(rest, surface.bone)
    tone = (1 + (0.035 * look.blotches) * fine) * (1 - look.creases * lines)
    redness = look.blotches * (0.05 * blotch + 0.08 * on_digit * (y - 0.3))
    albedo = albedo * tone * torch.stack([1 + 0.5 * redness, 1 - redness, 1 - 0.8 * redness])
    back = is_end * (z < -0.1)
    outline = (_power4(x / 0.86) + _power4((y - 0.74) / 0.25) - 1) * back  # of a nail: negative inside
    nail = (-4 * outline).clamp(0, 1)
    free_edge = 0.35 * ((y - 0.90) * 12).clamp(0, 1)
    albedo = albedo * (1 - 0.35 * back * _bump(outline / 0.5))  # the fold of skin around it
    albedo = albedo + nail * (look.nail_rgb * (1 + free_edge) - albedo)
    sleeve = ((-rest[1] - look.sleeve_from_m) * 400).clamp(0, 1)
    albedo = albedo + sleeve * (look.sleeve_rgb * (1 + 0.10 * fine) - albedo)
    return albedo, look.gloss * (1 + 0.15 * fine) * (1 + 3 * nail) * (1 - sleeve)


def _joint_creases(y: torch.Tensor, length_mm: torch.Tensor, palmar: torch.Tensor) -> torch.Tensor:
    """Lines across a digit at its joints: one deep line on the palmar side, three faint ones on the back."""
    from_start, from_end = y * length_mm, (1 - y) * length_mm
    near = torch.minimum(from_start.abs(), from_end.abs())
    front = 0.8 * _bump(near / 1.5)
    back = 0.35 * (_bump(near / 0.9) + _bump((near - 2.4) / 0.9))
    return back + palmar * (front - back)


def _palm_lines(rest_m: torch.Tensor, bone: torch.Tensor) -> torch.Tensor:
    mm = rest_m[:2] * 1e3
    x, y = mm
    centre, radius, low, high = _line_columns(rest_m.device)
    offset = mm[:, None] - centre
    distance = (offset[0] * offset[0] + offset[1] * offset[1]).sqrt() - radius
    ends = ((mm[:, None] - low) * 0.2).clamp(0, 1) * ((high - mm[:, None]) * 0.2).clamp(0, 1)
    line = _bump(distance / 1.5) * (ends[0] * ends[1])
    bend = 0.004 * x * x
    wrist = _bump((y + 1 - bend) / 1.3) + 0.6 * _bump((y + 6 - bend) / 1.2)
    return ((line[0] + line[1] + line[2]) * (bone == PALM) + 0.6 * wrist).clamp(0, 1)


def _noise(surface: Surface, look: SimpleNamespace) -> tuple[torch.Tensor, torch.Tensor]:
    rest, axes = surface.rest_m, torch.tensor(NOISE_AXES, device=surface.rest_m.device).t()[..., None]
    turned = axes[0] * rest[0] + axes[1] * rest[1] + axes[2] * rest[2]
    cells = (turned * (1 / NOISE_CELL_M) + look.noise_offset).long() & (NOISE_CELLS - 1)
    index = (cells[0] * NOISE_CELLS + cells[1]) * NOISE_CELLS + cells[2]
    return _noise_volume(rest.device).index_select(1, index).unbind(0)


def _in_shadow(surface: Surface, posed: Posed, looks: list[Look]) -> torch.Tensor:
    """(P,) share of the light that is blocked.

    The shadow maps are splatted from vertices and face centres: at their resolution these leave no gaps, and it costs a
    tenth of drawing the triangles again.
    """
    device, scenes = surface.position_m.device, surface.scenes
    axes = np.stack([_axes_towards(look.light) for look in looks], axis=-1)  # (3, 3, B): right, up, towards the light
    a, v = torch.from_numpy(axes).to(device)[..., None], posed.vertices_m
    seen = a[:, 0] * v[0] + a[:, 1] * v[1] + a[:, 2] * v[2]
    low, high = seen[:2].amin(2), seen[:2].amax(2)
    scale = (SHADOW_CELLS - 4) / (high - low).amax(0)
    offset = 1.5 - low * scale
    faces = seen.index_select(2, posed.faces.reshape(-1)).view(3, scenes, 3, -1)
    seen = torch.cat([seen, (faces[:, :, 0] + faces[:, :, 1] + faces[:, :, 2]) * (1 / 3)], dim=2)
    cells = (seen[:2] * scale[:, None] + offset[..., None]).long()
    map_of = SHADOW_CELLS**2 * torch.arange(scenes, device=device)
    first = (cells[1] * SHADOW_CELLS + cells[0] + map_of[:, None]).view(-1)
    nearest = torch.full((scenes * SHADOW_CELLS**2,), -10.0, device=device)
    for step in (0, 1, SHADOW_CELLS, SHADOW_CELLS + 1):
        nearest.scatter_reduce_(0, first + step, seen[2].reshape(-1), "amax")
    table = np.concatenate(
        [axes.transpose(1, 0, 2).reshape(9, -1), torch.cat([scale[None], offset + 0.5]).numpy(force=True)]
    )
    right_up_near, scale, offset = _per_pixel(table, surface, [9, 1, 2])
    a, p = right_up_near.view(3, 3, -1), surface.position_m + 0.003 * surface.normal
    point = a[0] * p[0] + a[1] * p[1] + a[2] * p[2]
    column, row = (point[:2] * scale + offset).long().clamp(1, SHADOW_CELLS - 2)
    first = row * SHADOW_CELLS + column + map_of.index_select(0, surface.scene)
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
    maps = torch.zeros(surface.scenes, 2, height, width, device=z.device)
    maps.view(-1).index_copy_(0, pixels, z)
    maps.view(-1).index_fill_(0, pixels + height * width, 1.0)
    cell = max(1, round(min(height, width) / 80))
    coarse = avg_pool2d(avg_pool2d(maps, cell, ceil_mode=True), 5, stride=1, padding=2)
    around = interpolate(
        (coarse[:, :1] / (coarse[:, 1:] + 1e-6)), size=(height, width), mode="bilinear", align_corners=False
    )
    return ((z - around.view(-1).index_select(0, surface.pixels) - 0.002) * 40).clamp(0, 1)


def _axes_towards(light: np.ndarray) -> np.ndarray:
    helper = np.eye(3)[np.argmin(np.abs(light))]
    right = np.cross(helper, light)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(light, right), light]).astype(np.float32)


@lru_cache(maxsize=4)
def _rest_frames(device: torch.device) -> torch.Tensor:
    """(15, 17): a map from rest points to x / radius, y / length, z / radius of a bone; length in mm; is it last; is it
    of a digit."""
    table = np.zeros((15, BONES))
    radii = np.full(BONES, 0.014)
    lengths = np.full(BONES, 0.08)
    radii[1:16], lengths[1:16] = (0.5 * (RADII_M[:, :3] + RADII_M[:, 1:])).ravel(), REFERENCE_SHAPE.lengths_m.ravel()
    for bone in range(BONES):
        scale = np.array([1 / radii[bone], 1 / lengths[bone], 1 / radii[bone]])[:, None]
        linear = scale * REST.rotations[bone].T
        table[:12, bone] = np.concatenate([linear, -linear @ REST.origins_m[bone][:, None]], axis=1).ravel()
    table[12], table[13, 3:16:3], table[14, 1:16] = lengths * 1e3, 1, 1
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


@lru_cache(maxsize=4)
def _line_columns(device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """PALM_LINES_MM: centres (2, 3, 1), radii (3, 1), lower and upper ends in x and y (2, 3, 1)."""
    lines = [(*centre, radius, x[0], y[0], x[1], y[1]) for centre, radius, x, y in PALM_LINES_MM]
    table = torch.tensor(lines, device=device).t()[..., None]
    return table[:2], table[2], table[3:5], table[5:]


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _bump(x: torch.Tensor) -> torch.Tensor:
    """1 at 0, 0 from |x| = 1 on."""
    return (1 - x * x).clamp(min=0)


def _power4(x: torch.Tensor) -> torch.Tensor:
    x = x * x
    return x * x


def _power16(x: torch.Tensor) -> torch.Tensor:
    return _power4(_power4(x))


_SIZES = {  # how many numbers each field of Look has
    field.name: 1 if field.type == "float" else 3 for field in fields(Look)
}
