"""The rival: its printed sizes, frames and rotations by hand, a batch learned by each network, and poses by both."""

from dataclasses import replace

import pytest
import torch

from handvae.base.joints import LEFT, MIDDLE_MCP, RIGHT, ROOT
from handvae.model import methods, zb17
from handvae.model.networks import parameter_count
from handvae.model.vae import Architecture
from handvae.model.zb17 import LITTLE_MCP

RGB = (("rgb", "heatmaps"), ("heatmaps", "joints_3d"))
SMALL = Architecture(RGB, 64, 16, 16, True, 21, "resnet18")
PRINTED = {"posenet": 17_518_847, "prior": 1_637_279, "viewpoint": 2_238_403}  # section 7.3: 21,394,529 in all


def hands(count: int, seed: int = 0) -> torch.Tensor:
    joints = torch.randn(count, 21, 3, generator=torch.Generator().manual_seed(seed))
    return joints - joints[:, ROOT : ROOT + 1]


def side_of(count: int, side: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.full((count,), side), 2).float()


def batch_of(count: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "rgb": torch.rand(count, 3, 64, 64, generator=generator) - 0.5,
        "heatmaps": 1.6 * torch.rand(count, 42, generator=generator) - 0.8,
        "joints_3d": hands(count).flatten(1),
        "side_onehot": torch.eye(2)[torch.arange(count) % 2],
    }


def test_at_the_papers_size_every_network_has_its_parameters():
    model = methods.build(replace(SMALL, crop_px=256, width=64), 0)
    assert {name: parameter_count(part) for name, part in model.named_children()} == PRINTED
    assert parameter_count(model) == 21_394_529
    lifting = methods.build(replace(SMALL, crop_px=256, width=64, pairs=RGB[1:]), 0)
    assert parameter_count(lifting) == PRINTED["prior"] + PRINTED["viewpoint"]


def test_the_hands_frame_is_its_own_and_mirrored_hands_have_mirrored_poses():
    joints = hands(8)
    pose, rotation = zb17.in_hand_frame(joints)
    torch.testing.assert_close(pose @ rotation, joints, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(8))
    assert pose[:, MIDDLE_MCP, [0, 2]].abs().max() < 1e-5 and (pose[:, MIDDLE_MCP, 1] > 0).all()
    assert pose[:, LITTLE_MCP, 2].abs().max() < 1e-5 and (pose[:, LITTLE_MCP, 0] > 0).all()
    turned = zb17.rotation_matrix(torch.tensor([[0.3, -1.2, 0.8]]))
    torch.testing.assert_close(zb17.in_hand_frame(joints @ turned)[0], pose, atol=1e-5, rtol=1e-5)
    mirrored, _ = zb17.in_hand_frame(joints * torch.tensor([-1.0, 1.0, 1.0]))
    model = methods.build(SMALL, 0)
    torch.testing.assert_close(model.mirrored(mirrored, side_of(8, RIGHT)), pose, atol=1e-5, rtol=1e-5)
    assert torch.equal(model.mirrored(pose, side_of(8, LEFT)), pose)


def test_rotations_by_hand():
    quarter = torch.tensor([[0.0, 0.0, torch.pi / 2], [0.0, 0.0, 0.0]])
    expected = torch.stack([torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), torch.eye(3)])
    torch.testing.assert_close(zb17.rotation_matrix(quarter), expected, atol=1e-6, rtol=0)


def test_score_maps_peak_at_their_joints_and_are_empty_of_those_outside():
    uv = torch.tensor([[[0.125, -0.375], [1.5, 0.0], *[[0.0, 0.0]] * 19]])
    maps = zb17.score_maps(uv.flatten(1), 8)
    assert maps[0, 0].argmax() == 2 * 8 + 4 and maps[0, 0].max() == 1 and maps[0, 1].sum() == 0
    assert maps[0, 0, 2, 5] == pytest.approx(float(torch.exp(torch.tensor(-0.5 * (0.25 / zb17.SPREAD) ** 2))))
    exact = [maps[:, :]] * 3
    least = zb17.posenet_loss(exact, maps, uv.flatten(1))
    assert least < 1e-3 < zb17.posenet_loss([maps + 0.1] * 3, maps, uv.flatten(1)) == pytest.approx(0.3, rel=1e-3)


@pytest.mark.parametrize(
    ("source", "target", "learned"),
    [("rgb", "heatmaps", ["posenet"]), ("heatmaps", "joints_3d", ["prior", "viewpoint"])],
)
def test_a_batch_is_learned_by_its_own_networks_alone(source, target, learned):
    model, samples = methods.build(SMALL, 0), batch_of(8)
    optimiser = torch.optim.Adam(model.parameters(), 3e-4)
    losses = []
    for _ in range(150):
        optimiser.zero_grad()
        losses.append(zb17.terms(model, source, (target,), samples, torch.zeros(0), None)[0])
        losses[-1].sum().backward()
        optimiser.step()
    assert losses[-1][0] < 0.6 * losses[0][0] and losses[-1][1] == 0
    moved = {name for name, part in model.named_children() if any(p.grad is not None for p in part.parameters())}
    assert moved == set(learned)


def test_poses_come_from_score_maps_and_from_images():
    model, samples = methods.build(SMALL, 0), batch_of(4)
    side = samples["side_onehot"]
    from_joints = model.predict("heatmaps", "joints_3d", samples["heatmaps"], side)
    true_maps = zb17.score_maps(samples["heatmaps"], 8)
    model.posenet.forward = lambda image: [None, None, true_maps]
    assert torch.equal(model.predict("rgb", "joints_3d", samples["rgb"], side), from_joints)
    other_side = model.predict("heatmaps", "joints_3d", samples["heatmaps"], side.flip(1))
    assert not torch.allclose(from_joints, other_side)
