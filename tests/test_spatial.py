"""Heat maps and the product of experts: closed forms, limits, and a batch whose maps are learned."""

import numpy as np
import pytest
import torch

from handvae.base import params
from handvae.base.joints import ROOT
from handvae.model import spatial, vae
from handvae.model.vae import Architecture
from tests.conftest import REPOSITORY

PAIRS = (("rgb", "joints_3d"), ("rgb", "heatmaps"), ("joints_2d", "joints_3d"))
ARCHITECTURE = Architecture(PAIRS, 64, 16, 16, True, 21, "resnet18")


def samples(count: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "rgb": torch.rand(count, 3, 64, 64, generator=generator) - 0.5,
        "heatmaps": 1.6 * torch.rand(count, 42, generator=generator) - 0.8,
        "joints_2d": torch.randn(count, 42, generator=generator),
        "joints_3d": torch.randn(count, 63, generator=generator),
        "side_onehot": torch.eye(2)[torch.arange(count) % 2],
    }


def test_the_product_is_that_of_the_densities():
    random = np.random.default_rng(0)
    mu, log_var = random.normal(size=(3, 5, 4)), random.normal(size=(3, 5, 4)) * 2
    precision = np.exp(-log_var)
    mean, log_variance = spatial.product(torch.from_numpy(mu), torch.from_numpy(log_var))
    assert mean.dtype == torch.float64
    np.testing.assert_allclose(mean, (precision * mu).sum(axis=0) / precision.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(log_variance, -np.log(precision.sum(axis=0)), rtol=1e-12, atol=1e-12)


def test_one_expert_is_itself_a_certain_one_decides_and_two_alike_halve_the_variance():
    mu, log_var = torch.randn(2, 6, 30), torch.randn(2, 6, 30)
    alone = spatial.product(mu[:1], log_var[:1])
    torch.testing.assert_close(alone[0], mu[0])
    torch.testing.assert_close(alone[1], log_var[0])
    certain = spatial.product(mu, torch.stack([log_var[0], torch.full((6, 30), -40.0)]))
    torch.testing.assert_close(certain[0], mu[1])
    alike = spatial.product(mu[:1].repeat(2, 1, 1), log_var[:1].repeat(2, 1, 1))
    torch.testing.assert_close(alike[0], mu[0])
    torch.testing.assert_close(alike[1], log_var[0] - np.log(2))
    extreme = spatial.product(mu, torch.stack([torch.full((6, 30), 10.0), torch.full((6, 30), -10.0)]))
    assert all(part.isfinite().all() for part in extreme)


def test_the_soft_argmax_of_a_known_map_is_exact():
    maps = torch.full((1, 3, 16, 16), -1e4)
    maps[0, 0, 3, 5] = 0.0  # v, u
    maps[0, 1, 8, 8] = maps[0, 1, 8, 9] = 0.0  # half way between two cells
    maps[0, 2] = 0.0  # no idea: the middle
    uv = spatial.soft_argmax(maps)[0]
    expected = [[(5.5) / 8 - 1, 3.5 / 8 - 1], [9.0 / 8 - 1, 8.5 / 8 - 1], [0.0, 0.0]]
    torch.testing.assert_close(uv, torch.tensor(expected), atol=1e-6, rtol=0)
    u_px = (uv[0, 0] * 32) + 31.5  # of a crop of 64 px: the middle of the pixels 20 to 23
    assert u_px == pytest.approx(21.5, abs=1e-4)


def test_the_loss_of_maps_is_least_at_the_true_places_and_leaves_out_joints_outside_the_crop():
    true = torch.tensor([[[0.3, -0.2], [0.1, 0.6]]])
    cells = spatial.cell_centres(16, true.device)
    exponent = -0.5 * ((true[..., None] - cells) * 8).square()
    maps = exponent[:, :, 1, :, None] + exponent[:, :, 0, None, :]
    least = spatial.heatmap_loss(maps, true.flatten(1))
    for shifted in (maps.roll(1, 3), maps.roll(1, 2), 0.5 * maps, torch.zeros_like(maps)):
        assert spatial.heatmap_loss(shifted, true.flatten(1)) > least + 0.01
    outside = true.clone()
    outside[0, 1] = torch.tensor([1.4, 0.0])
    first_alone = spatial.heatmap_loss(maps[:, :1], true[:, :1].flatten(1))
    torch.testing.assert_close(spatial.heatmap_loss(maps, outside.flatten(1)), first_alone)


def test_the_posterior_of_an_image_is_the_product_of_its_features_and_of_its_own_2d_joints():
    model, given = vae.CrossModalVAE(ARCHITECTURE, 0).eval(), samples(4)
    x, side = given["rgb"], given["side_onehot"]
    mu, log_var, maps = model.encode_with_maps("rgb", x, side)
    uv = spatial.soft_argmax(maps)
    by_joints = model.encode("joints_2d", (uv - uv[:, ROOT : ROOT + 1]).flatten(1), side)
    trunk, head = model.encoders["rgb"].trunk, model.decoders["heatmaps"]
    at_joints = head(trunk.stages(x))[1]
    by_features = model.encoders["rgb"].posterior(torch.cat([trunk(x), at_joints], dim=1), side)
    expected = spatial.product(*(torch.stack(of) for of in zip(by_features, by_joints, strict=True)))
    for actual, encoded, wanted in zip((mu, log_var), model.encode("rgb", x, side), expected, strict=True):
        torch.testing.assert_close(actual, wanted)
        assert torch.equal(actual, encoded)
    alone = vae.CrossModalVAE(Architecture(PAIRS[:2], 64, 16, 16, True, 21, "resnet18"), 0).eval()
    at_joints = alone.decoders["heatmaps"](alone.encoders["rgb"].trunk.stages(x))[1]
    features = torch.cat([alone.encoders["rgb"].trunk(x), at_joints], dim=1)
    assert torch.equal(alone.encode("rgb", x, side)[0], alone.encoders["rgb"].posterior(features, side)[0])


def test_the_features_at_the_joints_are_those_under_their_maps():
    head = spatial.SpatialHead([16, 32, 64, 128], 3).eval()
    head.maps = torch.nn.Conv2d(spatial.CHANNELS, 16, 1)
    seen = {}
    head.mix.register_forward_hook(lambda *_: seen.update(features=_[2]))
    head.at_joints = torch.nn.Identity()
    with torch.no_grad():
        logits, at_joints = head([torch.randn(2, 16 * 2**n, 16 // 2**n, 16 // 2**n) for n in range(4)])
    weights = logits.double().flatten(2).softmax(dim=2)
    expected = torch.stack(
        [(weights[:, joint, None] * seen["features"].double().flatten(2)).sum(dim=2) for joint in range(3)], dim=1
    )
    torch.testing.assert_close(at_joints, expected.flatten(1).float(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("joints", [16, 21, 36])  # ICVL, the 21 of most sets, NYU
def test_every_skeleton_has_a_map_a_joint(joints):
    model = vae.CrossModalVAE(
        Architecture((("depth", "heatmaps"), *PAIRS[2:]), 64, 16, 16, True, joints, "resnet18"), 0
    )
    mu, _, maps = model.encode_with_maps("depth", torch.zeros(2, 1, 64, 64), samples(2)["side_onehot"])
    assert maps.shape == (2, joints, 16, 16) and mu.shape == (2, 30)


def test_a_batch_is_learned_maps_and_all():
    model, given = vae.CrossModalVAE(ARCHITECTURE, 0), samples(8)
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    loss = params.load(REPOSITORY / "params.yaml").recipes["ours"]
    history = []
    for step in range(80):
        optimiser.zero_grad()
        noise = torch.randn(2, 8, 30, generator=torch.Generator().manual_seed(step))
        terms = vae.terms(model, "rgb", ("joints_3d", "heatmaps"), given, noise, loss)
        assert terms[1, 1] == 0  # maps come from features, not from z
        (terms[:, 0].sum() + 0.001 * terms[0, 1]).backward()
        optimiser.step()
        history.append(terms.detach())
    assert history[-1][0, 0] < 0.3 * history[0][0, 0]
    assert history[-1][1, 0] < 0.7 * history[0][1, 0]
