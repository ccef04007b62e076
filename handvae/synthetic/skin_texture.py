"""The texture of skin, solid in the template's rest space: colour, creases, nails, a sleeve."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import torch

from handvae.synthetic.kinematics import BONES, PALM, RADII_M, REFERENCE_SHAPE, REST
from handvae.synthetic.mesh import Surface

NOISE_CELLS, NOISE_CELL_M = 64, 0.0012
# oblique: no terraces along the arm
NOISE_AXES = ((2 / 3, -1 / 3, 2 / 3), (2 / 3, 2 / 3, -1 / 3), (-1 / 3, 2 / 3, 2 / 3))

# Lines of the palm, millimetres on the template: circle centre, radius, x range, y range.
PALM_LINES_MM = (
    ((42.0, 28.0), 34.0, (2.0, 29.0), (6.0, 58.0)),
    ((-8.0, 128.0), 80.0, (-24.0, 28.0), (40.0, 60.0)),
    ((-30.0, 110.0), 48.0, (-34.0, 12.0), (60.0, 84.0)),
)


def skin_texture(surface: Surface, look: SimpleNamespace) -> tuple[torch.Tensor, torch.Tensor]:
    """Albedo (3, P), linear RGB, and the strength of the highlight (P,). look: the fields of shading.Look, by pixel."""
    rest = surface.rest_m
    frame = _rest_frames().index_select(1, surface.bone)
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
    outline = (power4(x / 0.86) + power4((y - 0.74) / 0.25) - 1) * back  # of a nail: negative inside
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
    centre, radius, low, high = _line_columns()
    offset = mm[:, None] - centre
    distance = (offset[0] * offset[0] + offset[1] * offset[1]).sqrt() - radius
    ends = ((mm[:, None] - low) * 0.2).clamp(0, 1) * ((high - mm[:, None]) * 0.2).clamp(0, 1)
    line = _bump(distance / 1.5) * (ends[0] * ends[1])
    bend = 0.004 * x * x
    wrist = _bump((y + 1 - bend) / 1.3) + 0.6 * _bump((y + 6 - bend) / 1.2)
    return ((line[0] + line[1] + line[2]) * (bone == PALM) + 0.6 * wrist).clamp(0, 1)


def _noise(surface: Surface, look: SimpleNamespace) -> tuple[torch.Tensor, torch.Tensor]:
    """(P,) each: fine grain, and blotches."""
    rest, axes = surface.rest_m, torch.tensor(NOISE_AXES).t()[..., None]
    turned = axes[0] * rest[0] + axes[1] * rest[1] + axes[2] * rest[2]
    cells = (turned * (1 / NOISE_CELL_M) + look.noise_offset).long() & (NOISE_CELLS - 1)
    index = (cells[0] * NOISE_CELLS + cells[1]) * NOISE_CELLS + cells[2]
    return _noise_volume().index_select(1, index).unbind(0)


@cache
def _rest_frames() -> torch.Tensor:
    """(15, 17), a column per bone: a map (3, 4) of rest points to x / radius, y / length, z / radius; length in mm;
    whether it is the last of a digit; whether it is of a digit."""
    table = np.zeros((15, BONES))
    radii = np.full(BONES, 0.014)
    lengths = np.full(BONES, 0.08)
    radii[1:16], lengths[1:16] = (0.5 * (RADII_M[:, :3] + RADII_M[:, 1:])).ravel(), REFERENCE_SHAPE.lengths_m.ravel()
    for bone in range(BONES):
        scale = np.array([1 / radii[bone], 1 / lengths[bone], 1 / radii[bone]])[:, None]
        linear = scale * REST.rotations[bone].T
        table[:12, bone] = np.concatenate([linear, -linear @ REST.origins_m[bone][:, None]], axis=1).ravel()
    table[12], table[13, 3:16:3], table[14, 1:16] = lengths * 1e3, 1, 1
    return torch.from_numpy(table.astype(np.float32))


@cache
def _noise_volume() -> torch.Tensor:
    """(2, 64^3) periodic noise of unit deviation: fine grain, and blotches of about a centimetre."""
    rng, cells = np.random.default_rng(20180618), (NOISE_CELLS,) * 3
    frequency = np.fft.fftfreq(NOISE_CELLS)
    f2 = frequency[:, None, None] ** 2 + frequency[None, :, None] ** 2 + np.fft.rfftfreq(NOISE_CELLS) ** 2
    volumes = []
    for low, high in ((0.05, 0.30), (0.005, 0.035)):
        band = np.exp(-f2 / high**2) - np.exp(-f2 / low**2)
        noise = np.fft.irfftn(np.fft.rfftn(rng.standard_normal(cells)) * band, s=cells, axes=(0, 1, 2))
        volumes.append(np.clip(noise / noise.std(), -2.5, 2.5).reshape(-1))
    return torch.from_numpy(np.stack(volumes).astype(np.float32))


@cache
def _line_columns() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """PALM_LINES_MM: centres (2, 3, 1), radii (3, 1), lower and upper ends in x and y (2, 3, 1)."""
    lines = [(*centre, radius, x[0], y[0], x[1], y[1]) for centre, radius, x, y in PALM_LINES_MM]
    table = torch.tensor(lines).t()[..., None]
    return table[:2], table[2], table[3:5], table[5:]


def _bump(x: torch.Tensor) -> torch.Tensor:
    """1 at 0, 0 from |x| = 1 on."""
    return (1 - x * x).clamp(min=0)


def power4(x: torch.Tensor) -> torch.Tensor:
    x = x * x
    return x * x
