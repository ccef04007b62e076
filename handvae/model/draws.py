"""What is random about training samples: which rows, how warped, with which noise.

Everything is drawn on the CPU from (seed, block of steps): a resumed run, or one on another device, sees the same.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from handvae.base.sections import Augmentation
from handvae.model.networks import LATENT

BLOCK = 8  # steps whose batches are made, and whose terms are checked and recorded, together: shares small costs
ROW_STREAMS = (2, 5)  # of random numbers: the order of the rows of the first and of the second set


@dataclass
class Draw:
    """The random part of some samples: which rows, how warped. All on one device, first dimension M."""

    rows: torch.Tensor  # (M,) int64
    rotation_rad: torch.Tensor  # (M,) clockwise in the image
    shift: torch.Tensor  # (M, 2) of the crop's side
    scale: torch.Tensor  # (M,) > 1 enlarges
    flip: torch.Tensor  # (M,) bool

    def to(self, device: torch.device) -> "Draw":
        return Draw(*(getattr(self, field).to(device, non_blocking=True) for field in self.__dataclass_fields__))

    def turn(self) -> torch.Tensor:
        """The mirrors and rotations (M, 3, 3) about the camera's axis."""
        cos, sin = torch.cos(self.rotation_rad), torch.sin(self.rotation_rad)
        mirror = 1.0 - 2.0 * self.flip.float()
        turn = torch.zeros(len(self.rows), 3, 3, device=cos.device)
        turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1] = cos * mirror, -sin, sin * mirror, cos
        turn[:, 2, 2] = 1.0
        return turn


def unaugmented(rows: torch.Tensor) -> Draw:
    zeros = torch.zeros(len(rows), device=rows.device)
    return Draw(rows, zeros, torch.stack([zeros, zeros], 1), zeros + 1.0, zeros.bool())


def draw_block(
    seed: int,
    block: int,
    batch_size: int,
    pools: list[torch.Tensor],
    pairs: int,
    augmentation: Augmentation,
    mirrored: torch.Tensor,
) -> tuple[Draw, torch.Tensor]:
    """The draw of one block of steps, BLOCK * batch_size samples, and its noise (BLOCK, pairs, batch_size, 30).

    Each of the `pools` of rows gives an equal share of every batch, in epochs. An epoch is a permutation of the pool;
    batches may span two epochs. `mirrored` (N,): see `batches.StoredHands.mirrored`.
    """
    generator = torch.Generator().manual_seed(_mix(seed, 1, block))
    samples = BLOCK * batch_size
    uniform = torch.rand(5, samples, generator=generator)
    noise = torch.randn(BLOCK, pairs, batch_size, LATENT, generator=generator)
    low, high = augmentation.scale
    share = samples // len(pools)
    of_pools = [
        pool[_rows_of_block(seed, stream, block * share, share, len(pool))]
        for stream, pool in zip(ROW_STREAMS, pools, strict=False)
    ]
    rows = torch.stack(of_pools, dim=1).flatten()  # of two pools one row each in turn
    draw = Draw(
        rows=rows,
        rotation_rad=(2 * uniform[0] - 1) * math.radians(augmentation.rotation_deg),
        shift=((2 * uniform[1:3] - 1) * augmentation.shift).T.contiguous(),
        scale=low + (high - low) * uniform[3],
        flip=(uniform[4] < 0.5) & mirrored[rows],
    )
    return draw, noise


def _rows_of_block(seed: int, stream: int, first: int, count: int, rows: int) -> torch.Tensor:
    """The samples `first` to `first + count` of an endless sequence of epochs, each a permutation of `rows` rows."""
    epochs = range(first // rows, (first + count - 1) // rows + 1)
    generators = (torch.Generator().manual_seed(_mix(seed, stream, epoch)) for epoch in epochs)
    start = first - epochs[0] * rows
    return torch.cat([torch.randperm(rows, generator=generator) for generator in generators])[start : start + count]


def _mix(seed: int, stream: int, number: int) -> int:
    """One seed from three numbers: hashed, since torch's CPU generator uses the lowest 32 bits of a seed alone."""
    return int(np.random.SeedSequence([seed, stream, number]).generate_state(1)[0])
