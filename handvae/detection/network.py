"""Two small networks: one sees a whole picture and says where hands are, one sees a hand's crop and says its side.

The first is in the manner of Zhou, Wang and Krähenbühl, "Objects as Points" (2019): a map whose peaks are the hands'
middles, and at each of them an offset and a size. A hand's side is too small a thing for a shrunk picture.
"""

from pathlib import Path

import torch
from torch import nn

from handvae.base.errors import InputError
from handvae.model import initial
from handvae.model.networks import ResNet, initialise

STRIDE = 4  # picture pixels a cell of the maps
HEAT, OFFSET, SIZE = 0, slice(1, 3), 3  # channels: of a hand's middle; u and v in cells; log of side / picture
CROP_PX, SIDE_WIDTH = 64, 16  # of the second network: what it sees, the channels of its first layer
HEAT_START = -4.0  # of its bias: few cells hold a hand
POSE_TRUNK = "encoders.rgb.trunk."  # what a pose model's weights call the part that the second network has too


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class SideNetwork(nn.Module):
    """The pose models' ResNet-18 at a quarter of its width: crops (B, 3, 64, 64) to the logit (B,) of a right hand."""

    def __init__(self, seed: int):
        super().__init__()
        self.trunk = ResNet("resnet18", 3, CROP_PX, SIDE_WIDTH)
        self.head = nn.Linear(self.trunk.features, 1)
        initialise(self, torch.Generator().manual_seed(seed))

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        return self.head(self.trunk(crops))[:, 0]

    def start_from(self, path: Path) -> None:
        """Take the trunk of a pose model (a folder, or .safetensors) of 64 px and the same width. Else InputError."""
        weights = {
            name.removeprefix(POSE_TRUNK): value
            for name, value in initial.weights_of(path).items()
            if name.startswith(POSE_TRUNK)
        }
        try:
            self.trunk.load_state_dict(weights)
        except RuntimeError as error:
            raise InputError(
                f"{path}: expected a pose model of RGB images of {CROP_PX} px with a ResNet-18 of width {SIDE_WIDTH}"
            ) from error


class DetectorNetwork(nn.Module):
    """Pictures (B, 3, P, P) in [-0.5, 0.5] to maps (B, 4, P / 4, P / 4): see HEAT, OFFSET, SIZE. `right_hand`: crops
    (B, 3, 64, 64) to the logit (B,) of a right hand."""

    def __init__(self, width: int, seed: int = 0):
        super().__init__()
        torch.manual_seed(seed)
        w = width
        self.quarter = nn.Sequential(_layer(3, w, 2), _layer(w, 2 * w, 2), _layer(2 * w, 2 * w))
        self.eighth = nn.Sequential(_layer(2 * w, 3 * w, 2), _layer(3 * w, 3 * w))
        self.sixteenth = nn.Sequential(_layer(3 * w, 4 * w, 2), *(_layer(4 * w, 4 * w) for _ in range(4)))
        self.to_eighth, self.to_quarter = _layer(4 * w, 3 * w), _layer(3 * w, 2 * w)
        self.head = nn.Sequential(_layer(2 * w, 2 * w), nn.Conv2d(2 * w, 4, 1))
        nn.init.constant_(self.head[-1].bias[HEAT], HEAT_START)
        self.side = SideNetwork(seed)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        quarter = self.quarter(x)
        eighth = self.eighth(quarter)
        up = nn.functional.interpolate(self.to_eighth(self.sixteenth(eighth)), scale_factor=2.0)
        up = nn.functional.interpolate(self.to_quarter(up + eighth), scale_factor=2.0)
        return self.head(up + quarter)

    def right_hand(self, crops: torch.Tensor) -> torch.Tensor:
        """A mirrored right hand is a left one, so the logit of the mirrored crop counts with the other sign."""
        return (self.side(crops) - self.side(crops.flip(3))) / 2
