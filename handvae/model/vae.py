"""The cross-modal VAE: an encoder and a decoder for each modality around one latent space, and its loss terms."""

from dataclasses import dataclass

import torch
from torch import nn

from handvae.base.errors import InputError
from handvae.base.joints import HAND21, ROOT
from handvae.base.sections import HEATMAPS, Loss
from handvae.model import spatial
from handvae.model.networks import HIDDEN, LATENT, Encoder, ImageDecoder, JointTrunk, ResNet, initialise, mlp

IMAGE_CHANNELS = {"rgb": 3, "depth": 1}
DIMENSIONS = {"joints_2d": 2, "joints_3d": 3}
IMAGE_REFERENCE_PX = 64  # a recipe states the weight of an image of this size
LEAST_DISTANCE = 1e-3  # of a joint in `laplace_loss`: the gradient of a square root has no end at 0

Pair = tuple[str, str]  # (input modality, target modality)


@dataclass(frozen=True)
class Architecture:
    """What a model is built from; saved beside its weights."""

    pairs: tuple[Pair, ...]
    crop_px: int
    width: int  # of the image encoder
    decoder_width: int  # of the image decoder
    hand_side: bool
    joints: int
    encoder: str


class CrossModalVAE(nn.Module):
    """Encoders q_k(z|x_k) and decoders p_l(x_l|z) for every modality that the pairs name.

    Images are (B, C, S, S), RGB in [-0.5, 0.5] and depth in [-1, 1], joints (B, coordinates) normalised as in
    handvae.model.batches, side_onehot (B, 2), latents (B, 30).
    """

    def __init__(self, architecture: Architecture, seed: int):
        super().__init__()
        self.architecture = architecture
        sources = dict.fromkeys(source for source, _ in architecture.pairs)
        targets = dict.fromkeys(target for _, target in architecture.pairs)
        self.encoders = nn.ModuleDict({name: _encoder(name, architecture) for name in sources})
        self.decoders = nn.ModuleDict({name: _decoder(name, architecture) for name in targets})
        initialise(self, torch.Generator().manual_seed(seed))

    def encode(self, modality: str, x: torch.Tensor, side_onehot: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance of q(z|x), each (B, 30) float32."""
        if modality in IMAGE_CHANNELS and HEATMAPS in self.decoders:
            return self.encode_with_maps(modality, x, side_onehot)[:2]
        return self.encoders[modality](x, side_onehot)

    def encode_with_maps(
        self, modality: str, x: torch.Tensor, side_onehot: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The same of an image, and the logits of its heat maps: see handvae.model.spatial."""
        encoder = self.encoders[modality]
        stages = encoder.trunk.stages(x)
        maps, at_joints = self.decoders[HEATMAPS](stages)
        features = torch.cat([encoder.trunk.pooled(stages[-1]), at_joints], dim=1)
        mu, log_var = encoder.posterior(features, side_onehot)
        if "joints_2d" in self.encoders:
            joints_2d = spatial.soft_argmax(maps)
            if modality == "rgb":
                joints_2d = joints_2d - joints_2d[:, ROOT : ROOT + 1]
            by_joints = self.encoders["joints_2d"](joints_2d.flatten(1), side_onehot)
            experts = ((mu, log_var), by_joints)
            mu, log_var = spatial.product(*(torch.stack(of_experts) for of_experts in zip(*experts, strict=True)))
        return mu, log_var, maps

    def decode(self, modality: str, z: torch.Tensor) -> torch.Tensor:
        """Mean of p(x|z) in that modality."""
        return self.decoders[modality](z)

    def predict(self, source: str, target: str, x: torch.Tensor, side_onehot: torch.Tensor) -> torch.Tensor:
        """The target decoded from the posterior's mean. paper: z at test time not stated; here its mean."""
        mu, _ = self.encode(source, x, side_onehot)
        return self.decode(target, mu)


def _encoder(modality: str, architecture: Architecture) -> Encoder:
    if modality in IMAGE_CHANNELS:
        channels = IMAGE_CHANNELS[modality]
        trunk = ResNet(architecture.encoder, channels, architecture.crop_px, architecture.width)
        has_maps = (modality, HEATMAPS) in architecture.pairs
        return Encoder(trunk, architecture.hand_side, further=HIDDEN if has_maps else 0)
    return Encoder(JointTrunk(DIMENSIONS[modality] * architecture.joints), architecture.hand_side)


def _decoder(modality: str, architecture: Architecture) -> nn.Module:
    if modality == HEATMAPS:
        widths = ResNet(architecture.encoder, 3, architecture.crop_px, architecture.width).channels
        return spatial.SpatialHead(widths, architecture.joints)
    if modality in IMAGE_CHANNELS:
        return ImageDecoder(IMAGE_CHANNELS[modality], architecture.crop_px, architecture.decoder_width)
    return mlp(LATENT, DIMENSIONS[modality] * architecture.joints)


def sample(mu: torch.Tensor, log_var: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """z = mu + sigma * noise, noise ~ N(0, I): the reparameterisation of Eq. 1's expectation."""
    return mu + torch.exp(0.5 * log_var) * noise


def kl_to_standard_normal(mu: torch.Tensor, log_var: torch.Tensor) -> torch.Tensor:
    """KL(N(mu, sigma^2) || N(0, I)) of each sample, (B,), in nats: the last term of Algorithm 1's loss."""
    return -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum(dim=1)


def squared_error(x: torch.Tensor, target: torch.Tensor, reduction: str) -> torch.Tensor:
    """||x - target||^2 of each sample, (B,): the sum over its elements, or their mean.

    An image's sum is taken as if it had 64 x 64 pixels, so that its weight against the joints does not depend on the
    resolution.
    """
    errors = (x.float() - target.float()).square().flatten(1)
    if reduction == "mean":
        return errors.mean(dim=1)
    if target.dim() == 4:
        return errors.mean(dim=1) * (target.shape[1] * IMAGE_REFERENCE_PX**2)
    return errors.sum(dim=1)


def laplace_loss(x: torch.Tensor, target: torch.Tensor, dimensions: int) -> torch.Tensor:
    """-log p of joints (B, J * dimensions), a sample, up to a constant, where p of a joint's error e is
    exp(-|e| / b) / b^dimensions and the scale b is the one that fits the batch best, mean |e| / dimensions.

    A scalar. For Gaussians: Rybkin et al. 2021, "Simple and effective VAE training with calibrated decoders".
    """
    errors = (x.float() - target.float()).unflatten(1, (-1, dimensions))
    distance = (errors.square().sum(dim=2) + LEAST_DISTANCE**2).sqrt()
    return target.shape[1] * distance.mean().log()


def terms(
    model: CrossModalVAE,
    source: str,
    targets: tuple[str, ...],
    batch: dict[str, torch.Tensor],
    noise: torch.Tensor,
    loss: Loss,
) -> torch.Tensor:
    """The two loss terms of the pairs source -> target, (pairs, 2): the weighted reconstruction error and the KL,
    averaged over the batch; `noise` (pairs, B, 30). The source is encoded once.

    Their sum with the KL weight of the step is the negative of the bound of Eq. 5, up to constants.
    """
    if HEATMAPS in targets:
        mu, log_var, maps = model.encode_with_maps(source, batch[source], batch["side_onehot"])
    else:
        mu, log_var = model.encode(source, batch[source], batch["side_onehot"])
    kl = kl_to_standard_normal(mu, log_var)
    result = []
    for target, noise_of_pair in zip(targets, noise, strict=True):
        if target == HEATMAPS:  # of the image's feature maps, not of z
            of_maps = spatial.heatmap_loss(maps, batch[HEATMAPS]).mean()
            result.append(torch.stack([of_maps, torch.zeros_like(of_maps)]))
            continue
        decoded = model.decode(target, sample(mu, log_var, noise_of_pair))
        if loss.reduction == "laplace" and target in DIMENSIONS:
            reconstruction = laplace_loss(decoded, batch[target], DIMENSIONS[target])
        else:
            reconstruction = squared_error(decoded, batch[target], loss.reduction)
        divisor = kl_divisor(loss.kl_normaliser, source, batch[source], batch[target])
        result.append(torch.stack([loss.modality_weights[target] * reconstruction.mean(), kl.mean() / divisor]))
    return torch.stack(result)


def kl_divisor(normaliser: str, modality: str, source: torch.Tensor, target: torch.Tensor) -> float:
    """The KL is divided by it: 1 (the bound), the target's elements, or 21 times the input's last dimension.

    The last is what public code near the original does, meant as "the same number of elements": with an image as
    input its last dimension is the width.
    """
    if normaliser == "elbo":
        return 1.0
    if normaliser == "elements":
        return float(target[0].numel())
    last = source.shape[-1] if modality in IMAGE_CHANNELS else DIMENSIONS[modality]
    return float(len(HAND21) * last)


def load_weights(model: CrossModalVAE, weights: dict[str, torch.Tensor], where: str) -> None:
    """Copy the weights into the model. InputError where names or shapes differ; `where`: the file they are from."""
    expected = model.state_dict()
    wrong = [key for key in expected if key not in weights or weights[key].shape != expected[key].shape]
    wrong += [key for key in weights if key not in expected]
    if wrong:
        raise InputError(f"{where}: expected the weights of {model.architecture}, found {len(wrong)} unfit: {wrong[0]}")
    model.load_state_dict(weights)
