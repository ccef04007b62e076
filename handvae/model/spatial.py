"""Beyond the paper: where an image's joints are, as heat maps, and the product of two experts on z.

Variants 1 to 4 have none of it. A variant with the pair image->heatmaps has: its image encoder reads, beside the
trunk's features, those at the joints. If it encodes 2D joints as well, the image's posterior is the product of what its
features say and of what its own 2D joints say, by the encoder of true 2D joints.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from handvae.model.networks import HIDDEN

# HEATMAPS, the target: (B, 2 J), the joints' place in the crop over half its side, 0 in its middle
CHANNELS = 32
SPREAD_CELLS = 1.0  # standard deviation of a true map
CHANNELS_MULTIPLE = 16  # of the last layer's outputs, which are at least the joints: oneDNN's convolutions want it
ERROR_WEIGHT = 20.0  # of the squared error of the map's mean beside the map's cross-entropy


class SpatialHead(nn.Module):
    """The feature maps of the ResNet's four stages, each (B, C, S, S), to the logits (B, J, S / 4, S / 4) of J maps.

    And to what the image shows at the joints (B, HIDDEN): its features' means under each joint's map, by two layers.
    """

    def __init__(self, channels: list[int], joints: int):
        super().__init__()
        self.joints = joints
        self.lateral = nn.ModuleList(nn.Conv2d(inputs, CHANNELS, 1) for inputs in channels)
        self.mix = nn.Sequential(
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False), nn.BatchNorm2d(CHANNELS), nn.ReLU()
        )
        self.maps = nn.Conv2d(CHANNELS, -(-joints // CHANNELS_MULTIPLE) * CHANNELS_MULTIPLE, 1)
        sizes = (CHANNELS * joints, HIDDEN, HIDDEN)
        self.at_joints = nn.Sequential(*(layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())))

    def forward(self, stages: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        summed = self.lateral[-1](stages[-1])
        for lateral, stage in zip(reversed(self.lateral[:-1]), reversed(stages[:-1]), strict=True):
            summed = lateral(stage) + F.interpolate(summed, scale_factor=2.0)
        features = self.mix(summed)
        logits = self.maps(features)[:, : self.joints].float()
        means = torch.bmm(logits.flatten(2).softmax(dim=2), features.float().flatten(2).mT)
        return logits, self.at_joints(means.flatten(1))


def cell_centres(cells: int, device: torch.device) -> torch.Tensor:
    """The middles (cells,) of a map's cells, in the units of HEATMAPS."""
    return (torch.arange(cells, device=device) + 0.5) * (2.0 / cells) - 1.0


def soft_argmax(logits: torch.Tensor) -> torch.Tensor:
    """The mean place (B, J, 2), u and v, of maps (B, J, C, C) as distributions over their cells."""
    centres = cell_centres(logits.shape[-1], logits.device)
    maps = logits.flatten(2).softmax(dim=2).view_as(logits)
    return torch.stack([(maps.sum(dim=2) * centres).sum(dim=2), (maps.sum(dim=3) * centres).sum(dim=2)], dim=2)


def heatmap_loss(logits: torch.Tensor, uv: torch.Tensor) -> torch.Tensor:
    """Of each sample (B,): the cross-entropy of its maps against a normalised Gaussian around each joint's `uv`
    (B, 2 J), and the squared error of its maps' means, both summed over the joints. Joints outside the crop count in
    neither."""
    true = uv.view(len(uv), -1, 2)
    inside = (true.abs() <= 1).all(dim=2).float()
    cells = logits.shape[-1]
    distance = (true[..., None] - cell_centres(cells, uv.device)) * (cells / 2 / SPREAD_CELLS)  # (B, J, 2, C)
    exponent = -0.5 * distance.square()
    target = (exponent[:, :, 1, :, None] + exponent[:, :, 0, None, :]).flatten(2).softmax(dim=2)
    entropy = -(target * logits.flatten(2).log_softmax(dim=2)).sum(dim=2)
    error = (soft_argmax(logits) - true).square().sum(dim=2)
    return ((entropy + ERROR_WEIGHT * error) * inside).sum(dim=1)


def product(mu: torch.Tensor, log_var: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and log-variance (B, D) of the normalised product of E Gaussians, each (E, B, D)."""
    log_precision = torch.logsumexp(-log_var, dim=0)
    weights = torch.exp(-log_var - log_precision)
    return (weights * mu).sum(dim=0), -log_precision
