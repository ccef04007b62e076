"""The detector's training: warped pictures, heat maps of the hands' middles, the focal loss of "Objects as Points"."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from handvae.base.progress import tracked
from handvae.base.sections import Training
from handvae.detection.frames import Pictures
from handvae.detection.network import CROP_PX, HEAT, OFFSET, SIZE, STRIDE, DetectorNetwork, SideNetwork
from handvae.detection.settings import DetectorSettings
from handvae.model import optimisers
from handvae.model.schedules import rate_share

GAIN = 0.25  # of each colour, in both directions
JOINED, CUT = 0.3, (0.35, 0.65)  # share of the pictures whose right part is another's, and where they are cut
PEAK_OF_SIDE = 1 / 10  # of a hand's square: the standard deviation of its peak
WARMUP_SHARE = 0.05


@dataclass(frozen=True)
class Warp:
    """How far pictures are turned, shifted (of their side) and zoomed."""

    turn_deg: float
    shift: float
    zoom: tuple[float, float]


OF_PICTURES = Warp(30.0, 0.2, (0.6, 1.6))  # hands may lie anywhere
OF_CROPS = Warp(45.0, 0.08, (0.85, 1.2))  # as a detected square is off


def train(
    pictures: Pictures, settings: DetectorSettings, of_sides: Training, steps: int, sides_start: Path | None = None
) -> DetectorNetwork:
    """Both networks trained, on the CPU. `of_sides`: how the second one is, `steps` those of the first.

    `sides_start`: a pose model whose trunk the second one starts from; without it, it hardly learns RHD's sides
    (benchmarks/NOTES.md). The same pictures, settings and start give the same weights.
    """
    network = DetectorNetwork(settings.width).to(memory_format=torch.channels_last).train()
    _train_places(network, pictures, settings, steps)
    if sides_start is not None:
        network.side.start_from(sides_start)
    _train_sides(network.side, pictures, of_sides)
    return network.eval()


def _train_places(network: DetectorNetwork, pictures: Pictures, settings: DetectorSettings, steps: int) -> None:
    of_places = [value for name, value in network.named_parameters() if not name.startswith("side.")]
    optimiser = torch.optim.Adam(of_places, settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    generator = torch.Generator().manual_seed(0)
    images, squares = torch.from_numpy(pictures.images_u8), torch.from_numpy(pictures.squares_px)
    for _ in tracked(range(steps), "train detector", steps, "steps"):
        rows = torch.randint(len(images), (settings.batch_size,), generator=generator)
        x, squares_px = joined(*warped(images[rows], squares[rows], OF_PICTURES, generator), generator)
        loss = detection_loss(network(x), *targets(squares_px, settings.picture_px))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()


def _train_sides(network: SideNetwork, pictures: Pictures, training: Training) -> None:
    """With the pose models' network and optimiser: a smaller network under Adam learned less (benchmarks/NOTES.md)."""
    built, generator = optimisers.build(network, training), torch.Generator().manual_seed(0)
    crops, sides = torch.from_numpy(pictures.crops_u8), torch.from_numpy(pictures.sides)
    for step in tracked(range(training.steps), "train detector of sides", training.steps, "steps"):
        rows = torch.randint(len(crops), (training.batch_size,), generator=generator)
        x, is_right = warped_crops(crops[rows], sides[rows], generator)
        loss = F.binary_cross_entropy_with_logits(network(x), is_right)
        for optimiser in built:
            for group in optimiser.param_groups:
                group["lr"] = group["initial_lr"] * rate_share(step, training)
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for optimiser in built:
            optimiser.step()


def _rate(step: int, steps: int) -> float:
    warmup = max(1, round(WARMUP_SHARE * steps))
    return min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))


def warped(
    images_u8: torch.Tensor, squares_px: torch.Tensor, warp: Warp, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (B, P, P, 3) turned, shifted, zoomed, half of them mirrored, their colours scaled: (B, 3, P, P) in
    [-0.5, 0.5], and their squares (B, 2, 3). A mirrored left hand is a right one."""
    count, size_px = images_u8.shape[:2]
    uniform = torch.rand(6, count, generator=generator)
    angle = math.radians(warp.turn_deg) * (2 * uniform[0] - 1)
    least, most = warp.zoom
    zoom = least * (most / least) ** uniform[1]
    mirrored = uniform[4] < 0.5
    across = torch.where(mirrored, -1.0, 1.0)
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    linear = torch.stack([torch.stack([cos * across, -sin], 1), torch.stack([sin * across, cos], 1)], 1)  # (B, 2, 2)
    middle = (size_px - 1) / 2
    offset = middle + warp.shift * size_px * (2 * uniform[2:4].T - 1) - linear.sum(2) * middle
    moved = squares_px.clone()
    moved[..., :2] = squares_px[..., :2] @ linear.transpose(1, 2) + offset[:, None]
    moved[..., 2] *= zoom[:, None]
    moved = torch.where(mirrored[:, None, None], moved.flip(1), moved)
    inverse = torch.linalg.inv(linear)
    # grid_sample counts from -1 to 1 between the middles of the outermost pixels
    shift = (inverse @ (middle - offset)[..., None] - middle) / middle
    theta = torch.cat([inverse, shift], dim=2)
    grid = F.affine_grid(theta, (count, 3, size_px, size_px), align_corners=True)
    x = images_u8.permute(0, 3, 1, 2).float().sub(127.5)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=True) / 255
    gain = 1 + GAIN * (2 * torch.rand(count, 3, 1, 1, generator=generator) - 1)
    return (x * gain).clamp(-0.5, 0.5).contiguous(memory_format=torch.channels_last), moved


def warped_crops(
    crops_u8: torch.Tensor, sides: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Crops (B, K, K, 3) warped, their middles (B, 3, 64, 64), and whether each shows a right hand (B,), 0 or 1."""
    margin = (crops_u8.shape[1] - CROP_PX) // 2
    middle = torch.full((len(sides), 2, 3), torch.nan)
    middle[torch.arange(len(sides)), sides] = crops_u8.shape[1] / 2
    x, moved = warped(crops_u8, middle, OF_CROPS, generator)
    x = x[:, :, margin : margin + CROP_PX, margin : margin + CROP_PX]
    return x.contiguous(memory_format=torch.channels_last), (~moved[:, 1, 0].isnan()).float()


def joined(x: torch.Tensor, squares_px: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Some of the pictures with the right part of the one before, so that a left and a right hand are seen at once.

    The synthetic sets show one hand a picture. A hand is kept where its middle is; pictures that would then show two
    hands of one side are left as they are.
    """
    count, size_px = len(x), x.shape[-1]
    uniform = torch.rand(2, count, generator=generator)
    column = size_px * (CUT[0] + (CUT[1] - CUT[0]) * uniform[1])
    from_other = squares_px.roll(1, 0)
    own = torch.where((squares_px[..., 0] < column[:, None])[..., None], squares_px, torch.nan)
    other = torch.where((from_other[..., 0] >= column[:, None])[..., None], from_other, torch.nan)
    both = (~own[..., 0].isnan() & ~other[..., 0].isnan()).any(dim=1)
    chosen = (uniform[0] < JOINED) & ~both
    right_part = chosen[:, None] & (torch.arange(size_px) >= column[:, None])
    mixed = torch.where(right_part[:, None, None, :], x.roll(1, 0), x)
    squares_px = torch.where(chosen[:, None, None], torch.where(own.isnan(), other, own), squares_px)
    return mixed.contiguous(memory_format=torch.channels_last), squares_px


def targets(squares_px: torch.Tensor, picture_px: int) -> tuple[torch.Tensor, ...]:
    """What the maps should say of squares (B, 2, 3), NaN for none.

    The heat (B, C, C), 1 at the cell of a hand's middle; the numbers (M, 2) of sample and cell of the hands in the
    picture; their offsets (M, 2) in cells and the logarithm (M,) of their side over the picture's.
    """
    cells = picture_px // STRIDE
    position = (squares_px[..., :2] + 0.5) / STRIDE - 0.5  # in cells
    cell = position.round()
    inside = ((cell >= 0) & (cell < cells)).all(dim=2)  # false of NaN
    number = torch.arange(cells, dtype=torch.float32)
    deviation = (squares_px[..., 2] * PEAK_OF_SIDE / STRIDE).clamp(min=0.7)[..., None]
    u, v = (torch.exp(-((number - cell[..., axis, None]) ** 2) / (2 * deviation**2)) for axis in (0, 1))
    heat = torch.where(inside[..., None, None], v[..., :, None] * u[..., None, :], 0.0).amax(dim=1)
    sample, side = inside.nonzero(as_tuple=True)
    u_cell, v_cell = cell[sample, side].long().unbind(1)
    index = torch.stack([sample, v_cell * cells + u_cell], dim=1)
    size = torch.log(squares_px[sample, side, 2] / picture_px)
    return heat, index, (position - cell)[sample, side], size


def detection_loss(
    maps: torch.Tensor, heat: torch.Tensor, index: torch.Tensor, offset: torch.Tensor, size: torch.Tensor
) -> torch.Tensor:
    """The focal loss of the heat, and the absolute errors of offset and size at the hands, by the number of hands."""
    logits = maps[:, HEAT]
    probability = torch.sigmoid(logits)
    at_hand = -(heat == 1).float() * (1 - probability) ** 2 * F.logsigmoid(logits)
    elsewhere = -((1 - heat) ** 4) * probability**2 * F.logsigmoid(-logits)
    sample, cell = index.unbind(1)
    flat = maps.flatten(2)
    regression = (flat[sample, OFFSET, cell] - offset).abs().sum() + (flat[sample, SIZE, cell] - size).abs().sum()
    return (at_hand.sum() + elsewhere.sum() + regression) / max(1, len(index))


def as_input(images_u8: np.ndarray) -> torch.Tensor:
    """Pictures (N, P, P, 3) uint8 as the network takes them."""
    x = torch.from_numpy(np.ascontiguousarray(images_u8)).permute(0, 3, 1, 2).float().sub(127.5).div(255)
    return x.contiguous(memory_format=torch.channels_last)
