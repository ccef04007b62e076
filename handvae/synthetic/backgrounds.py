"""What is behind the hand: gradients, noise, stripes, shapes, a horizon, defocus. Drawn at half resolution."""

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, grid_sample, interpolate

PATTERNS = {"smooth": 0.22, "noise": 0.20, "shapes": 0.28, "stripes": 0.12, "horizon": 0.18}  # and their shares
TILE = 256


@dataclass(frozen=True, eq=False)  # by identity, as a cache's key
class Background:
    pattern: str
    colours: np.ndarray  # (3, 3) display-space RGB
    direction: np.ndarray  # (3,) gradient: unit vector in the image plane, offset
    noise_map: np.ndarray  # (2, 3) image coordinates in -1..1 to the noise tile's, in -1..1, reflected at its border
    noise: float
    stripes: np.ndarray  # (4,) frequency in x and y, phase, warp by the noise
    shapes: np.ndarray  # (S, 8) centre x, y, half sizes, cos and sin of the angle, 1 box or 0 ellipse, shade
    shape_rgb: np.ndarray  # (S, 3)
    defocus: int  # 0 sharp, else passes of blur on a quarter of the resolution


def sample_background(rng: np.random.Generator) -> Background:
    pattern = list(PATTERNS)[rng.choice(len(PATTERNS), p=list(PATTERNS.values()))]
    brightness, spread = rng.uniform(0.12, 0.85), rng.uniform(0.03, 0.22)
    tint = rng.choice([0.015, 0.04, 0.08], p=(0.4, 0.4, 0.2))
    base = np.clip(brightness * (1 + 2 * tint * rng.standard_normal(3)), 0.02, 0.98)
    colours = np.clip(base + spread * rng.standard_normal((3, 1)) + tint * rng.standard_normal((3, 3)), 0.01, 1.0)
    angle, turn, zoom = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.9)
    rotation = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    count = int(rng.integers(5, 15))
    turns, half_size = rng.uniform(0, np.pi, count), np.exp(rng.normal(-1.3, 0.6, (count, 2)))
    centre, boxy, shade = rng.uniform(-1.1, 1.1, (count, 2)), rng.integers(0, 2, count), rng.uniform(-0.3, 0.3, count)
    return Background(
        pattern=pattern,
        colours=colours,
        direction=np.array([np.cos(angle), np.sin(angle), rng.uniform(-0.5, 0.5)]),
        noise_map=np.concatenate([rotation, rng.uniform(-1, 1, (2, 1))], axis=1),
        noise=float(rng.uniform(0.15, 1.0) if pattern == "noise" else rng.uniform(0.02, 0.35)),
        stripes=np.array([*rng.uniform(-14, 14, 2), rng.random(), rng.uniform(0.0, 1.5)]),
        shapes=np.column_stack([centre, half_size, np.cos(turns), np.sin(turns), boxy, shade]),
        shape_rgb=np.clip(
            brightness + 0.28 * rng.standard_normal((count, 1)) + 2 * tint * rng.standard_normal((count, 3)), 0.0, 1.0
        ),
        defocus=int(rng.choice([0, 1, 3, 6], p=(0.4, 0.2, 0.2, 0.2))),
    )


@lru_cache(maxsize=2)  # for where many frames have the same background
def draw_background(background: Background, height: int, width: int) -> torch.Tensor:
    """(3, H, W) float32, 0 to 1, display space."""
    rows, columns = (height + 1) // 2, (width + 1) // 2
    aspect = rows / columns
    x = torch.linspace(-1, 1, columns).expand(rows, columns)
    y = torch.linspace(-aspect, aspect, rows)[:, None].expand(rows, columns)
    colours = _tensor(background.colours)
    fractal, fine = _sample_tile(background.noise_map, x, y)
    image = _gradient(background, x, y, fractal, colours)
    if background.pattern == "noise":
        image = image + (colours[2] - colours[0])[:, None, None] * (background.noise * fractal)
    elif background.pattern == "stripes":
        along_x, along_y, phase, warp = background.stripes
        wave = along_x * x + along_y * y + (phase + warp * fractal)
        triangle = 2 * (2 * (wave - wave.floor()) - 1).abs() - 1
        image = image + (colours[2] - colours[1])[:, None, None] * (0.5 * triangle)
    elif background.pattern == "shapes":
        image = _scatter_shapes(background, image, x, y)
    image = image * (1 + 0.25 * background.noise * (0.7 * fractal + 0.5 * fine))
    return _resize(image.clamp(0, 1), background.defocus, height, width)


def _gradient(
    background: Background, x: torch.Tensor, y: torch.Tensor, fractal: torch.Tensor, colours: torch.Tensor
) -> torch.Tensor:
    dx, dy, offset = background.direction.tolist()
    across = dx * x + dy * y - offset
    if background.pattern == "horizon":
        across = (across + 0.04 * background.noise * fractal) * 60 + 0.15 * across
        across = across.clamp(-1, 1) * 0.8 + (dx * x + dy * y) * 0.2
    mix = (0.5 + 0.5 * across).clamp(0, 1)
    return colours[0][:, None, None] * (1 - mix) + colours[1][:, None, None] * mix


def _scatter_shapes(background: Background, image: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Boxes and ellipses like dead leaves: the last one on top."""
    cx, cy, half_x, half_y, cos, sin, boxy, slope = _tensor(background.shapes).t()[:, :, None, None]
    dx, dy = x - cx, y - cy
    along, across = (dx * cos + dy * sin) / half_x, (dy * cos - dx * sin) / half_y
    box, ellipse = torch.maximum(along.abs(), across.abs()), along * along + across * across
    inside = (ellipse + boxy * (box - ellipse)) < 1
    order = torch.arange(1, len(inside) + 1, dtype=torch.float32)[:, None, None]
    top = (inside * order).amax(0)  # 0 where there is no shape
    rows = top.long().reshape(-1)
    colours = torch.cat([torch.zeros(1, 3), _tensor(background.shape_rgb)])
    slopes = torch.cat([torch.zeros(1), slope.reshape(-1)])
    colour = colours.index_select(0, rows).t().reshape(3, *top.shape)
    shading = slopes.index_select(0, rows).view(top.shape)
    return torch.where(top > 0, colour * (1 + shading * (x + y)), image)


def _resize(image: torch.Tensor, defocus: int, height: int, width: int) -> torch.Tensor:
    image = image[None]
    if defocus:
        half = image.shape[-2:]
        image = interpolate(image, scale_factor=0.25, mode="area")
        for _ in range(defocus):
            image = avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)
        image = interpolate(image, size=half, mode="bicubic", align_corners=False).clamp(0, 1)
    return interpolate(image, size=(height, width), mode="bilinear", align_corners=False)[0]


def _sample_tile(noise_map: np.ndarray, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The tile's two noises (H, W) at the points (x, y) of the image."""
    (xx, xy, x0), (yx, yy, y0) = noise_map.tolist()
    grid = torch.stack([xx * x + xy * y + x0, yx * x + yy * y + y0], dim=-1)[None]
    fractal, fine = grid_sample(_noise_tile(), grid, mode="bilinear", padding_mode="reflection", align_corners=True)[0]
    return fractal, fine


@cache
def _noise_tile() -> torch.Tensor:
    """(1, 2, 256, 256) noise of unit deviation: 1/f, and fine."""
    rng = np.random.default_rng(20180619)
    f = np.sqrt(np.fft.fftfreq(TILE)[:, None] ** 2 + np.fft.rfftfreq(TILE) ** 2)
    f[0, 0] = 1
    layers = []
    for amplitude in (f**-1.6, f**-0.5):
        layer = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((TILE, TILE))) * amplitude, s=(TILE, TILE))
        layers.append(np.clip(layer / layer.std(), -2.5, 2.5))
    return _tensor(np.stack(layers)[None])


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))
