"""The rival, [38]: Zimmermann and Brox, "Learning to Estimate 3D Hand Pose from Single RGB Images", ICCV 2017.

Three networks, each trained on its own: PoseNet draws score maps of the joints from an image; PosePrior tells from
score maps the pose in a frame of the hand, Viewpoint how that frame is turned. In training the last two see score maps
drawn from the true joints. Layers and losses are those of its public code.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from handvae.base.joints import HAND21, MIDDLE_MCP, RIGHT, ROOT
from handvae.base.sections import HEATMAPS, TARGET, Loss
from handvae.model.networks import initialise
from handvae.model.spatial import cell_centres
from handvae.model.vae import Architecture

JOINTS = len(HAND21)
LITTLE_MCP = HAND21.index("little_mcp")
STRIDE = 8  # of the crop's pixels a cell of the score maps
SPREAD = 25 / 128  # standard deviation of a true score map, over half the crop's side: 25 px of 256
SLOPE = 0.01  # of its leaky ReLUs
FULL_WIDTH = 64  # PoseNet's first layer; at another width all its hidden layers shrink alike
POSENET = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 256, 256, 256, 256, 128))  # between poolings
PRIOR, PRIOR_HIDDEN = (32, 64, 128), (512, 512)
VIEWPOINT, VIEWPOINT_HIDDEN = (64, 128, 256), (256, 128)


def _convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, stride, padding=size // 2), nn.LeakyReLU(SLOPE))


class PoseNet(nn.Module):
    """Images (B, 3, S, S) to three score maps (B, 21, S / 8, S / 8), each of which improves on the one before.

    Convolutional pose machines (Wei et al. 2016) with two further stages.
    """

    def __init__(self, width: int):
        super().__init__()
        share = width / FULL_WIDTH
        layers: list[nn.Module] = []
        inputs = 3
        for number, block in enumerate(POSENET):
            layers += [nn.MaxPool2d(2)] if number else []
            for outputs in (round(share * channels) for channels in block):
                layers.append(_convolution(inputs, outputs, 3))
                inputs = outputs
        self.encoding = nn.Sequential(*layers)
        hidden = round(512 * share)
        self.first = nn.Sequential(_convolution(inputs, hidden, 1), nn.Conv2d(hidden, JOINTS, 1))
        self.further = nn.ModuleList(self._stage(inputs) for _ in range(2))

    def _stage(self, channels: int) -> nn.Sequential:
        sizes = [channels + JOINTS] + [channels] * 5
        layers = [_convolution(a, b, 7) for a, b in pairwise(sizes)]
        return nn.Sequential(*layers, _convolution(channels, channels, 1), nn.Conv2d(channels, JOINTS, 1))

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        encoding = self.encoding(image)
        maps = [self.first(encoding)]
        for stage in self.further:
            maps.append(stage(torch.cat([maps[-1], encoding], dim=1)))
        return maps


class MapEncoder(nn.Module):
    """Score maps (B, 21, C, C) and the hand's side to `outputs` numbers: PosePrior and Viewpoint alike."""

    def __init__(self, channels: tuple[int, ...], hidden: tuple[int, ...], cells: int, hand_side: bool, outputs: int):
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, size in pairwise((JOINTS, *channels)):
            layers += [_convolution(inputs, size, 3), _convolution(size, size, 3, stride=2)]
        self.convolutions = nn.Sequential(*layers)
        self.hand_side = hand_side
        features = channels[-1] * (cells // 8) ** 2 + 2 * hand_side
        # paper: dropout after the hidden layers; here none, as in every network of ours
        pairs = pairwise((features, *hidden))
        self.hidden = nn.Sequential(*(layer for a, b in pairs for layer in (nn.Linear(a, b), nn.LeakyReLU(SLOPE))))
        self.last = nn.Linear(hidden[-1], outputs)

    def forward(self, maps: torch.Tensor, side_onehot: torch.Tensor) -> torch.Tensor:
        features = self.convolutions(maps).flatten(1)
        if self.hand_side:
            features = torch.cat([features, side_onehot.to(features.dtype)], dim=1)
        return self.last(self.hidden(features)).float()


class ZimmermannBrox(nn.Module):
    """The three networks; from true 2D joints the last two alone. The interface is that of CrossModalVAE.

    Images (B, 3, S, S) in [-0.5, 0.5]; 2D joints (B, 42) as `spatial.HEATMAPS`; 3D joints (B, 63), palm-relative.
    """

    def __init__(self, architecture: Architecture, seed: int):
        super().__init__()
        self.architecture, cells = architecture, architecture.crop_px // STRIDE
        side = architecture.hand_side
        if any(source == "rgb" for source, _ in architecture.pairs):
            self.posenet = PoseNet(architecture.width)
        self.prior = MapEncoder(PRIOR, PRIOR_HIDDEN, cells, side, 3 * JOINTS)
        self.viewpoint = MapEncoder(VIEWPOINT, VIEWPOINT_HIDDEN, cells, side, 3)
        # paper: PoseNet starts from weights trained for human pose; here from scratch, on the data that ours sees
        initialise(self, torch.Generator().manual_seed(seed))
        with torch.no_grad():
            self.viewpoint.last.weight.mul_(0.1)  # the first rotations are small

    def lifted(self, maps: torch.Tensor, side_onehot: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The pose (B, 21, 3) of a left hand in the hand's frame, and the frame's rotation (B, 3, 3)."""
        pose = self.prior(maps, side_onehot).view(len(maps), JOINTS, 3)
        return pose, rotation_matrix(self.viewpoint(maps, side_onehot))

    def predict(self, source: str, target: str, x: torch.Tensor, side_onehot: torch.Tensor) -> torch.Tensor:
        """The 3D joints (B, 63); `target` is joints_3d."""
        maps = self.posenet(x)[-1].float() if source == "rgb" else score_maps(x, self.architecture.crop_px // STRIDE)
        pose, rotation = self.lifted(maps, side_onehot)
        return (self.mirrored(pose, side_onehot) @ rotation).flatten(1)

    def mirrored(self, pose: torch.Tensor, side_onehot: torch.Tensor) -> torch.Tensor:
        """The pose of a left hand as that of its own side, or the other way round. Without H every hand is left."""
        right = side_onehot[:, RIGHT] if self.architecture.hand_side else torch.zeros_like(side_onehot[:, RIGHT])
        across = torch.stack([torch.ones_like(right), torch.ones_like(right), 1 - 2 * right], dim=1)
        return pose * across[:, None]


def paper_modules() -> dict[str, nn.Module]:
    """The three networks at their published size, 256 px, with the hand's side; HandSegNet, which finds the crop, is
    not in the count that the paper prints."""
    pairs = (("rgb", HEATMAPS), (HEATMAPS, TARGET))
    model = ZimmermannBrox(Architecture(pairs, 256, FULL_WIDTH, FULL_WIDTH, True, JOINTS, "resnet18"), 0)
    return {"[38] PoseNet": model.posenet, "[38] PosePrior": model.prior, "[38] ViewPoint": model.viewpoint}


def terms(
    model: ZimmermannBrox,
    source: str,
    targets: tuple[str, ...],
    batch: dict[str, torch.Tensor],
    noise: torch.Tensor,
    loss: Loss,
) -> torch.Tensor:
    """The loss of PoseNet (source rgb) or of PosePrior and Viewpoint (source heatmaps), as `vae.terms` has it, with a
    KL of 0; `noise` and `loss` serve the VAE."""
    maps = score_maps(batch[HEATMAPS], model.architecture.crop_px // STRIDE)
    if source == "rgb":
        of_source = posenet_loss(model.posenet(batch[source]), maps, batch[HEATMAPS])
    else:
        pose, rotation = model.lifted(maps, batch["side_onehot"])
        true = batch[TARGET].view(len(pose), JOINTS, 3)
        true_pose, true_rotation = in_hand_frame(true)
        true_pose = model.mirrored(true_pose, batch["side_onehot"])
        of_source = F.mse_loss(pose, true_pose) + F.mse_loss(rotation, true_rotation)
    return torch.stack([of_source, torch.zeros_like(of_source)])[None]


def score_maps(uv: torch.Tensor, cells: int) -> torch.Tensor:
    """Gaussians of height 1 (B, 21, C, C) around each joint's uv (B, 42) in the crop; none of a joint outside it."""
    true = uv.view(len(uv), -1, 2)
    exponent = -0.5 * ((true[..., None] - cell_centres(cells, uv.device)) / SPREAD).square()  # (B, J, 2, C)
    inside = (true.abs() <= 1).all(dim=2)
    return torch.exp(exponent[:, :, 1, :, None] + exponent[:, :, 0, None, :]) * inside[..., None, None]


def posenet_loss(maps: list[torch.Tensor], true: torch.Tensor, uv: torch.Tensor) -> torch.Tensor:
    """The root of each map's mean squared error, over the joints inside the crop, summed over the three stages.

    paper: over the visible joints and maps enlarged to the crop's size; here over those that the crop holds, hidden
    ones too, which ours learns from as well, at the size of the maps.
    """
    inside = (uv.view(len(uv), -1, 2).abs() <= 1).all(dim=2).float()
    errors = [((of_stage.float() - true).square().mean(dim=(2, 3)) + 1e-8).sqrt() for of_stage in maps]
    return sum((error * inside).sum() for error in errors) / inside.sum().clamp(min=1)


def in_hand_frame(joints: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Joints (B, 21, 3), palm-relative, in a frame of the hand, and its rotation (B, 3, 3): joints = pose @ rotation.

    The base of the middle finger lies on the second axis, the base of the little finger in the plane of the first two.
    """
    second = F.normalize(joints[:, MIDDLE_MCP] - joints[:, ROOT], dim=1)
    little = joints[:, LITTLE_MCP] - joints[:, ROOT]
    first = F.normalize(little - (little * second).sum(dim=1, keepdim=True) * second, dim=1)
    rotation = torch.stack([first, second, torch.linalg.cross(first, second)], dim=1)
    return joints @ rotation.mT, rotation


def rotation_matrix(vector: torch.Tensor) -> torch.Tensor:
    """Rodrigues: (B, 3), an axis times an angle, to (B, 3, 3)."""
    angle = (vector.square().sum(dim=1) + 1e-12).sqrt()[:, None]
    x, y, z = (vector / angle).unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(-1, 3, 3)
    sin, cos = angle.sin()[..., None], angle.cos()[..., None]
    return torch.eye(3, device=vector.device) + sin * cross + (1 - cos) * (cross @ cross)
