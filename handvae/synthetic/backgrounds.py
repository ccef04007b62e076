"""What is behind the hand: gradients, noise, stripes, shapes, a horizon, defocus. Drawn at half resolution."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, grid_sample, interpolate

KINDS = ("smooth", "noise", "shapes", "stripes", "horizon")
TILE = 256


@dataclass(frozen=True, eq=False)  # by identity, as a cache's key
class Background:
    kind: str
    colours: np.ndarray  # (3, 3) display-space RGB
    direction: np.ndarray  # (3,) gradient: unit vector in the image plane, offset
    noise_map: (
        np.ndarray
    )  # (2, 3) image coordinates in -1..1 to noise tile coordinates in -1..1 (reflected at the border)
    noise: float
    stripes: np.ndarray  # (4,) frequency in x and y, phase, warp by the noise
    shapes: np.ndarray  # (S, 8) centre x, y, half sizes, cos and sin of the angle, 1 box or 0 ellipse, shade
    shape_rgb: np.ndarray  # (S, 3)
    defocus: int  # 0 sharp, else passes of blur on a quarter of the resolution


def sample_background(rng: np.random.Generator) -> Background:
    kind = KINDS[rng.choice(len(KINDS), p=(0.22, 0.20, 0.28, 0.12, 0.18))]
    brightness, spread = rng.uniform(0.12, 0.85), rng.uniform(0.03, 0.22)
    tint = rng.choice([0.015, 0.04, 0.08], p=(0.4, 0.4, 0.2))
    base = np.clip(brightness * (1 + 2 * tint * rng.standard_normal(3)), 0.02, 0.98)
    colours = np.clip(base + spread * rng.standard_normal((3, 1)) + tint * rng.standard_normal((3, 3)), 0.01, 1.0)
    angle, turn, zoom = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.9)
    rotation = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    count = int(rng.integers(5, 15))
    turns = rng.uniform(0, np.pi, count)
    size = np.exp(rng.normal(-1.3, 0.6, (count, 2)))
    shapes = np.concatenate(
        [
            rng.uniform(-1.1, 1.1, (count, 2)),
            size,
            np.cos(turns)[:, None],
            np.sin(turns)[:, None],
            rng.integers(0, 2, (count, 1)),
            rng.uniform(-0.3, 0.3, (count, 1)),
        ],
        axis=1,
    )
    return Background(
        kind,
        colours,
        np.array([np.cos(angle), np.sin(angle), rng.uniform(-0.5, 0.5)]),
        np.concatenate([rotation, rng.uniform(-1, 1, (2, 1))], axis=1),
        float(rng.uniform(0.15, 1.0) if kind == "noise" else rng.uniform(0.02, 0.35)),
        np.array([*rng.uniform(-14, 14, 2), rng.random(), rng.uniform(0.0, 1.5)]),
        shapes,
        np.clip(
            brightness + 0.28 * rng.standard_normal((count, 1)) + 2 * tint * rng.standard_normal((count, 3)), 0.0, 1.0
        ),
        int(rng.choice([0, 1, 3, 6], p=(0.4, 0.2, 0.2, 0.2))),
    )


def draw_background(
    background: Background, height: int, width: int, device: torch.device | str = "cpu"
) -> torch.Tensor:
    """(3, H, W) float32, 0 to 1, display space."""
    rows, columns = (height + 1) // 2, (width + 1) // 2
    aspect = rows / columns
    x = torch.linspace(-1, 1, columns, device=device).expand(rows, columns)
    y = torch.linspace(-aspect, aspect, rows, device=device)[:, None].expand(rows, columns)
    colours = _tensor(background.colours, device)
    fractal, fine = _sample_tile(background.noise_map, x, y, device)
    image = _gradient(background, x, y, fractal, colours)
    if background.kind == "noise":
        image = image + (colours[2] - colours[0])[:, None, None] * (background.noise * fractal)
    elif background.kind == "stripes":
        wave = (
            background.stripes[0] * x
            + background.stripes[1] * y
            + (background.stripes[2] + background.stripes[3] * fractal)
        )
        triangle = 2 * (2 * (wave - wave.floor()) - 1).abs() - 1
        image = image + (colours[2] - colours[1])[:, None, None] * (0.5 * triangle)
    elif background.kind == "shapes":
        image = _scatter_shapes(background, image, x, y)
    image = image * (1 + 0.25 * background.noise * (0.7 * fractal + 0.5 * fine))
    return _resize(image.clamp(0, 1), background.defocus, height, width)


def _gradient(
    background: Background, x: torch.Tensor, y: torch.Tensor, fractal: torch.Tensor, colours: torch.Tensor
) -> torch.Tensor:
    dx, dy, offset = background.direction.tolist()
    across = dx * x + dy * y - offset
    if background.kind == "horizon":
        across = (across + 0.04 * background.noise * fractal) * 60 + 0.15 * across
        across = across.clamp(-1, 1) * 0.8 + (dx * x + dy * y) * 0.2
    mix = (0.5 + 0.5 * across).clamp(0, 1)
    return colours[0][:, None, None] * (1 - mix) + colours[1][:, None, None] * mix


def _scatter_shapes(background: Background, image: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Boxes and ellipses like dead leaves: the last one on top."""
    cx, cy, half_x, half_y, cos, sin, boxy, slope = _tensor(background.shapes, x.device).t()[:, :, None, None]
    dx, dy = x - cx, y - cy
    along, across = (dx * cos + dy * sin) / half_x, (dy * cos - dx * sin) / half_y
    box, ellipse = torch.maximum(along.abs(), across.abs()), along * along + across * across
    inside = (ellipse + boxy * (box - ellipse)) < 1
    order = torch.arange(1, len(inside) + 1, device=x.device, dtype=torch.float32)[:, None, None]
    top = (inside * order).amax(0)
    table = torch.cat([torch.zeros(1, 3, device=x.device), _tensor(background.shape_rgb, x.device)])
    index = top.long()
    colour = table.index_select(0, index.reshape(-1)).t().reshape(3, *top.shape)
    shading = (
        torch.cat([torch.zeros(1, device=x.device), slope.reshape(-1)])
        .index_select(0, index.reshape(-1))
        .view(top.shape)
    )
    return torch.where(index > 0, colour * (1 + shading * (x + y)), image)


def _resize(image: torch.Tensor, defocus: int, height: int, width: int) -> torch.Tensor:
    image = image[None]
    if defocus:
        half = image.shape[-2:]
        image = interpolate(image, scale_factor=0.25, mode="area")
        for _ in range(defocus):
            image = avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)
        image = interpolate(image, size=half, mode="bicubic", align_corners=False).clamp(0, 1)
    return interpolate(image, size=(height, width), mode="bilinear", align_corners=False)[0]


def _sample_tile(noise_map: np.ndarray, x: torch.Tensor, y: torch.Tensor, device) -> tuple[torch.Tensor, torch.Tensor]:
    (xx, xy, x0), (yx, yy, y0) = noise_map.tolist()
    grid = torch.stack([xx * x + xy * y + x0, yx * x + yy * y + y0], dim=-1)[None]
    fractal, fine = grid_sample(
        _noise_tile(str(device)), grid, mode="bilinear", padding_mode="reflection", align_corners=True
    )[0]
    return fractal, fine


@lru_cache(maxsize=4)
def _noise_tile(device: str) -> torch.Tensor:
    """(1, 2, 256, 256) noise of unit deviation: 1/f, and fine."""
    rng = np.random.default_rng(20180619)
    f = np.sqrt(np.fft.fftfreq(TILE)[:, None] ** 2 + np.fft.rfftfreq(TILE) ** 2)
    f[0, 0] = 1
    layers = []
    for amplitude in (f**-1.6, f**-0.5):
        layer = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((TILE, TILE))) * amplitude, s=(TILE, TILE))
        layers.append(np.clip(layer / layer.std(), -2.5, 2.5))
    return torch.from_numpy(np.stack(layers)[None].astype(np.float32)).to(device)


def _tensor(array: np.ndarray, device) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32)).to(device)
