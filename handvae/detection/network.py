"""A small network that sees a whole picture and says where hands are: centres as peaks of a map, one for each side.

In the manner of Zhou, Wang and Krähenbühl, "Objects as Points" (2019): heat of the centres, and at each of them an
offset and a size.
"""

import json
from dataclasses import asdict
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from handvae.base import atomic
from handvae.base.checked import convert
from handvae.base.errors import InputError
from handvae.detection.settings import DetectorSettings

STRIDE = 4  # picture pixels a cell of the maps
HEAT, OFFSET, SIZE = slice(0, 2), slice(2, 4), 4  # channels: left and right; u and v in cells; log of side / picture
HEAT_START = -4.0  # of its bias: few cells hold a hand


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class DetectorNetwork(nn.Module):
    """Pictures (B, 3, P, P) in [-0.5, 0.5] to maps (B, 5, P / 4, P / 4): see HEAT, OFFSET, SIZE."""

    def __init__(self, width: int, seed: int = 0):
        super().__init__()
        torch.manual_seed(seed)
        w = width
        self.quarter = nn.Sequential(_layer(3, w, 2), _layer(w, 2 * w, 2), _layer(2 * w, 2 * w))
        self.eighth = nn.Sequential(_layer(2 * w, 3 * w, 2), _layer(3 * w, 3 * w))
        self.sixteenth = nn.Sequential(_layer(3 * w, 4 * w, 2), *(_layer(4 * w, 4 * w) for _ in range(4)))
        self.to_eighth, self.to_quarter = _layer(4 * w, 3 * w), _layer(3 * w, 2 * w)
        self.head = nn.Sequential(_layer(2 * w, 2 * w), nn.Conv2d(2 * w, 5, 1))
        nn.init.constant_(self.head[-1].bias[HEAT], HEAT_START)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        quarter = self.quarter(x)
        eighth = self.eighth(quarter)
        up = nn.functional.interpolate(self.to_eighth(self.sixteenth(eighth)), scale_factor=2.0)
        up = nn.functional.interpolate(self.to_quarter(up + eighth), scale_factor=2.0)
        return self.head(up + quarter)


def save(path: Path, network: DetectorNetwork, settings: DetectorSettings, data: str) -> None:
    """One file: weights in half precision, the settings, and what it was trained on."""
    halves = {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in network.state_dict().items()
    }
    metadata = {"detector": json.dumps(asdict(settings)), "data": data}
    atomic.write_bytes(path, safetensors.torch.save(halves, metadata))


def load(path: Path) -> tuple[DetectorNetwork, DetectorSettings, str]:
    """The network in evaluation mode, its settings, its data. InputError for a file that `save` did not write."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata, names = file.metadata() or {}, file.keys()
            weights = {name: file.get_tensor(name).float() for name in names}
        settings = convert(json.loads(metadata["detector"]), DetectorSettings)
        network = DetectorNetwork(settings.width)
        network.load_state_dict(weights)
    except (OSError, SafetensorError, ValueError, KeyError, RuntimeError, InputError) as error:
        text = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: expected a detector, `dvc repro train_detector` makes one: {text}") from error
    return network.eval(), settings, metadata["data"]
