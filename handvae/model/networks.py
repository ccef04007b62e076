"""Encoders and decoders of the paper's Tables 3 and 4. `python -m handvae.model.networks` prints layers and counts.

Every encoder ends in one linear layer to the mean and log-variance of z; the hand side (invariance H), a one-hot of
two, joins the features just before it. The paper's parameter counts fix both facts: latent size 30, two inputs for H.
"""

from itertools import pairwise

import torch
from torch import nn

LATENT = 30
HIDDEN = 512
LOG_VAR_RANGE = (-10.0, 10.0)  # early in training exp(log_var) can overflow; see docs/choices.md
LOG_VAR_START = -3.0


def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2016); names as in torchvision, whose import takes a second."""

    expansion = 1

    def __init__(self, inputs: int, planes: int, stride: int, shortcut: nn.Module | None):
        super().__init__()
        self.conv1, self.bn1 = convolution(inputs, planes, 3, stride), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = convolution(planes, planes, 3), nn.BatchNorm2d(planes)
        self.downsample = shortcut or nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut; the stride is the 3x3's, as in torchvision."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, stride: int, shortcut: nn.Module | None):
        super().__init__()
        self.conv1, self.bn1 = convolution(inputs, planes, 1), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = convolution(planes, planes, 3, stride), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = convolution(planes, 4 * planes, 1), nn.BatchNorm2d(4 * planes)
        self.downsample = shortcut or nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


# the block, and how many in each layer
RESNETS = {"resnet18": (BasicBlock, (2, 2, 2, 2)), "resnet50": (Bottleneck, (3, 4, 6, 3))}


class ResNet(nn.Module):
    """torchvision's ResNet-18 or -50 up to its last feature map, at any base width, pooled to 2 x 2 features.

    At width 64 it is torchvision's, layer by layer. Images (B, C, S, S) in [-0.5, 0.5], S = 64, 128, 256, ...
    """

    def __init__(self, name: str, channels: int, image_px: int, width: int):
        super().__init__()
        self.block, blocks = RESNETS[name]
        expansion = self.block.expansion
        self.conv1 = nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._layer(width, width, blocks[0], stride=1)
        self.layer2 = self._layer(width * expansion, 2 * width, blocks[1], stride=2)
        self.layer3 = self._layer(2 * width * expansion, 4 * width, blocks[2], stride=2)
        self.layer4 = self._layer(4 * width * expansion, 8 * width, blocks[3], stride=2)
        # paper: not stated; its parameter count needs 2 x 2 x 512 features at 256 px, where this is AvgPool2d(7, 1)
        self.pool = nn.AvgPool2d(image_px // 32 - 1, stride=1)
        self.features = 2 * 2 * 8 * width * expansion
        self.channels = [planes * width * expansion for planes in (1, 2, 4, 8)]  # of the four layers' maps

    def _layer(self, inputs: int, planes: int, blocks: int, stride: int) -> nn.Sequential:
        shortcut, outputs = None, planes * self.block.expansion
        if stride != 1 or inputs != outputs:
            shortcut = nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        first = self.block(inputs, planes, stride, shortcut)
        return nn.Sequential(first, *(self.block(outputs, planes, 1, None) for _ in range(blocks - 1)))

    def stages(self, image: torch.Tensor) -> list[torch.Tensor]:
        """The feature maps of the four layers, each of half the side of the one before; the first has a quarter."""
        maps = [self.maxpool(torch.relu(self.bn1(self.conv1(image))))]
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps.append(layer(maps[-1]))
        return maps[1:]

    def pooled(self, last: torch.Tensor) -> torch.Tensor:
        """The features (B, features) of the last of them."""
        return self.pool(last).flatten(1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.pooled(self.stages(image)[-1])


def mlp(inputs: int, outputs: int | None) -> nn.Sequential:
    """Table 3: five Linear + ReLU of 512; for a decoder a Linear to the outputs follows."""
    sizes = [inputs] + [HIDDEN] * 5
    layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers, *([nn.Linear(HIDDEN, outputs)] if outputs else []))


class JointTrunk(nn.Module):
    """Table 3 as an encoder, without its last layer. Joints (B, coordinates)."""

    def __init__(self, coordinates: int):
        super().__init__()
        self.layers = mlp(coordinates, None)
        self.features = HIDDEN

    def forward(self, joints: torch.Tensor) -> torch.Tensor:
        return self.layers(joints)


class Encoder(nn.Module):
    """q(z|x): a trunk, then one linear layer from its features, and the hand side if given, to (mu, log_var).

    `further`: how many features `posterior` is given beside the trunk's.
    """

    def __init__(self, trunk: nn.Module, hand_side: bool, further: int = 0):
        super().__init__()
        self.trunk = trunk
        self.hand_side = hand_side
        self.head = nn.Linear(trunk.features + further + 2 * hand_side, 2 * LATENT)

    def forward(self, x: torch.Tensor, side_onehot: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.posterior(self.trunk(x), side_onehot)

    def posterior(self, features: torch.Tensor, side_onehot: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance, each (B, 30) float32, from the trunk's features."""
        if self.hand_side:
            features = torch.cat([features, side_onehot.to(features.dtype)], dim=1)
        mu, log_var = self.head(features).float().chunk(2, dim=1)
        return mu, log_var.clamp(*LOG_VAR_RANGE)


class ImageDecoder(nn.Module):
    """Table 4: z to an image (B, C, S, S) by doubling from 4 x 4; six doublings and 256 first channels at 256 px."""

    def __init__(self, channels: int, image_px: int, width: int):
        super().__init__()
        doublings = (image_px // 4).bit_length() - 1
        sizes = [4 * width >> step for step in range(doublings)]
        self.first = nn.Sequential(nn.Linear(LATENT, 16 * sizes[0]), nn.BatchNorm1d(16 * sizes[0]), nn.ReLU())
        blocks = []
        for a, b in pairwise(sizes):
            blocks += [nn.ConvTranspose2d(a, b, 4, stride=2, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
        self.blocks = nn.Sequential(
            nn.Unflatten(1, (sizes[0], 4, 4)), *blocks, nn.ConvTranspose2d(sizes[-1], channels, 4, stride=2, padding=1)
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.blocks(self.first(z))


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """He-normal weights, zero biases. The last layers of encoders and image decoders start small, encoders certain.

    paper: not stated; here He, because PyTorch's default for Linear shrinks the signal of Table 3's six layers so much
    that training sits on a plateau at the mean pose, and small, because He's first images have five times the spread of
    real ones, which a short training cures by painting everything grey (docs/choices.md).
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.ConvTranspose2d):
            fan_in = layer.weight[0].numel()
            if isinstance(layer, nn.ConvTranspose2d):
                # stride 2: an output pixel sees a quarter of the kernel of every input channel
                fan_in = layer.weight.shape[0] * layer.weight[0, 0].numel() // 4
            nn.init.normal_(layer.weight, std=(2.0 / fan_in) ** 0.5, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, Encoder):
                part.head.weight.mul_(0.1)
                part.head.bias[LATENT:] = LOG_VAR_START
            elif isinstance(part, ImageDecoder):
                part.blocks[-1].weight.mul_(0.1)


def parameter_count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def paper_modules() -> dict[str, nn.Module]:
    """The paper's four networks for RGB -> 3D at 256 px with hand side, by name."""
    return {
        "RGB encoder": Encoder(ResNet("resnet18", 3, 256, 64), hand_side=True),
        "3D decoder": mlp(LATENT, 63),
        "RGB decoder": ImageDecoder(3, 256, 64),
        "3D encoder": Encoder(JointTrunk(63), hand_side=True),
    }


def paper_parameter_counts() -> dict[int, int]:
    """Parameters of variants 1 to 4 for RGB -> 3D at 256 px with hand side (section 7.3 prints 1 and 4)."""
    counts = {name: parameter_count(module) for name, module in paper_modules().items()}
    first = counts["RGB encoder"] + counts["3D decoder"]
    t_to_t, i_to_i = counts["3D encoder"], counts["RGB decoder"]
    return {1: first, 2: first + t_to_t, 3: first + i_to_i, 4: first + i_to_i + t_to_t}


def main() -> None:
    for name, module in paper_modules().items():
        print(f"\n{name}: {parameter_count(module):,} parameters")
        for layer_name, layer in module.named_modules():
            if not list(layer.children()) and parameter_count(layer):
                print(f"  {layer_name:32s} {parameter_count(layer):>10,}  {layer}")
    print()
    for variant, count in paper_parameter_counts().items():
        print(f"variant {variant}: {count:,} parameters")


if __name__ == "__main__":
    main()
