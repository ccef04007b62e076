import math

import pytest
import torch

from handvae.base.sections import Loss
from handvae.model import vae

LOSS = Loss("sum", {"joints_3d": 1.0, "joints_2d": 1.0, "rgb": 0.5}, 0.01, 0.01, 0.0, "elbo")
PAIRS = (("rgb", "joints_3d"), ("rgb", "rgb"), ("joints_3d", "joints_3d"))
SIDE = torch.eye(2)[[0, 1, 0, 1]]


def generator():
    return torch.Generator().manual_seed(0)


def model(pairs=PAIRS):
    return vae.CrossModalVAE(vae.Architecture(pairs, 64, 16, 16, True, 21, "resnet18"), seed=0)


def test_kl_is_that_of_torchs_distributions():
    mu, log_var = torch.randn(2, 64, 30, generator=generator())
    normal, prior = torch.distributions.Normal(mu, (0.5 * log_var).exp()), torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(normal, prior).sum(dim=1)
    torch.testing.assert_close(vae.kl_to_standard_normal(mu, log_var), expected)


def test_samples_have_the_posteriors_mean_and_variance():
    noise = torch.randn(200_000, 1, generator=generator())
    z = vae.sample(torch.tensor([[3.0]]), torch.tensor([[math.log(0.25)]]), noise)
    assert z.mean().item() == pytest.approx(3.0, abs=0.01) and z.std().item() == pytest.approx(0.5, abs=0.01)


def test_squared_error_by_hand_and_its_two_reductions():
    x, target = torch.tensor([[1.0, 2.0, 5.0]]), torch.tensor([[1.0, 0.0, 2.0]])
    assert vae.squared_error(x, target, "sum").item() == 13.0
    assert vae.squared_error(x, target, "mean").item() == pytest.approx(13.0 / 3)


def test_an_images_squared_error_does_not_depend_on_its_resolution():
    small = torch.rand(2, 3, 64, 64, generator=generator())
    large = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    errors = [vae.squared_error(image, torch.zeros_like(image), "sum") for image in (small, large)]
    torch.testing.assert_close(errors[0], small.square().sum(dim=(1, 2, 3)))
    torch.testing.assert_close(errors[0], errors[1])


@pytest.mark.parametrize(
    "normaliser, modality, source, target, expected",
    [
        ("elbo", "joints_3d", (2, 63), (2, 63), 1.0),
        ("elements", "rgb", (2, 3, 64, 64), (2, 63), 63.0),
        ("input_width", "joints_3d", (2, 63), (2, 63), 21 * 3.0),
        ("input_width", "joints_2d", (2, 42), (2, 63), 21 * 2.0),
        ("input_width", "rgb", (2, 3, 256, 256), (2, 63), 21 * 256.0),
    ],
)
def test_kl_normalisers(normaliser, modality, source, target, expected):
    assert vae.kl_divisor(normaliser, modality, torch.zeros(source), torch.zeros(target)) == expected


def test_a_variant_has_the_modules_of_its_pairs_and_no_others():
    assert set(model().encoders) == {"rgb", "joints_3d"} and set(model().decoders) == {"rgb", "joints_3d"}
    lifting = model(pairs=(("joints_2d", "joints_3d"),))
    assert set(lifting.encoders) == {"joints_2d"} and set(lifting.decoders) == {"joints_3d"}


def terms(network, pair, source, target, noise, loss=LOSS, side=SIDE):
    """The two terms of one pair."""
    batch = {pair[0]: source, pair[1]: target, "side_onehot": side}
    return vae.terms(network, pair[0], (pair[1],), batch, noise[None], loss)[0]


def test_the_modality_weight_scales_the_reconstruction_and_not_the_kl():
    network = model().eval()
    image, noise = torch.rand(4, 3, 64, 64, generator=generator()), torch.zeros(4, 30)
    once = terms(network, PAIRS[1], image, image, noise)
    doubled = Loss(**{**vars(LOSS), "modality_weights": {**LOSS.modality_weights, "rgb": 1.0}})
    twice = terms(network, PAIRS[1], image, image, noise, doubled)
    torch.testing.assert_close(twice[0], 2 * once[0])
    torch.testing.assert_close(twice[1], once[1])


def test_one_batch_is_overfitted():
    """Negative control inside: the same network does not fit targets that no input can tell apart."""
    joints, side, noise = torch.randn(8, 63, generator=generator()), SIDE.repeat(2, 1), torch.zeros(8, 30)
    errors = []
    for source in (joints[:, :42], torch.zeros(8, 42)):
        network = model(pairs=(("joints_2d", "joints_3d"),))
        optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
        for _ in range(80):
            optimiser.zero_grad()
            reconstruction, _ = terms(network, ("joints_2d", "joints_3d"), source, joints, noise, side=side)
            reconstruction.backward()
            optimiser.step()
        errors.append(reconstruction.item())
    assert errors[0] < 0.01 * 63 < 0.5 * 63 < errors[1]


def test_the_laplace_loss_is_the_likelihood_at_its_best_scale():
    generator = torch.Generator().manual_seed(0)
    x, target = torch.randn(16, 63, generator=generator), torch.randn(16, 63, generator=generator)
    distances = (x - target).double().view(16, 21, 3).norm(dim=2)
    scales = torch.logspace(-2, 2, 20_001, dtype=torch.float64)
    # of a joint: |e| / b + 3 log b, up to a constant; over 21 joints
    likelihoods = distances.mean() / scales + 3 * scales.log()
    best = likelihoods.argmin()
    assert scales[best].item() == pytest.approx(distances.mean().item() / 3, rel=1e-3)
    loss = vae.laplace_loss(x, target, 3)
    constant = 3 - 3 * math.log(3)
    assert loss.item() == pytest.approx(21 * (likelihoods[best].item() - constant), rel=1e-4)


def test_the_laplace_loss_does_not_know_the_unit_and_has_a_gradient_at_the_truth():
    generator = torch.Generator().manual_seed(0)
    x, target = torch.randn(8, 42, generator=generator), torch.randn(8, 42, generator=generator)
    further = vae.laplace_loss(10 * x, 10 * target, 2) - vae.laplace_loss(x, target, 2)
    assert further.item() == pytest.approx(42 * math.log(10), rel=1e-4)
    exact = target.clone().requires_grad_()
    vae.laplace_loss(exact, target, 2).backward()
    assert torch.equal(exact.grad, torch.zeros_like(exact))
