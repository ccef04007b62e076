from dataclasses import replace

import numpy as np
import pytest
import torch

from handvae.base import params
from handvae.model import optimisers, training
from handvae.model.settings import settings_of
from tests.conftest import REPOSITORY

CPU = torch.device("cpu")
A, B, C = 3.4445, -4.7750, 2.0315


def reference_step(matrix: np.ndarray) -> np.ndarray:
    """Newton-Schulz as published, term by term, in float64."""
    x = matrix / np.linalg.norm(matrix)
    for _ in range(5):
        gram = x @ x.T
        x = A * x + (B * gram + C * gram @ gram) @ x
    return x


@pytest.mark.parametrize(
    ("shape", "decades", "tolerance"), [((16, 144), 0, 1e-4), ((128, 32), 0, 1e-4), ((32, 288), 5, 1e-3)]
)
def test_steps_are_those_of_a_float64_reference(shape, decades, tolerance):
    """Also with singular values over `decades` orders of magnitude: the small ones are raised alike."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if decades:
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
        matrix = left @ torch.diag(torch.logspace(0, -decades, len(values), dtype=torch.float64)) @ right
    step = optimisers.orthogonalised(matrix[None].float())[0].double()
    expected = torch.from_numpy(reference_step(matrix.numpy()))
    assert (step - expected).norm() < tolerance * expected.norm()


@pytest.mark.parametrize(("outputs", "further"), [(8, 1.0), (81, 1.5)])
def test_muon_steps_are_nesterov_momentum_orthogonalised(outputs, further):
    """Two steps of two filters, in float64 by hand; with more outputs than the 36 inputs they go further."""
    generator = torch.Generator().manual_seed(0)
    filters = [torch.nn.Parameter(torch.randn(outputs, 4, 3, 3, generator=generator)) for _ in range(2)]
    expected = [weight.detach().double().numpy().reshape(outputs, 36) for weight in filters]
    momenta = [np.zeros((outputs, 36)) for _ in filters]
    optimiser = optimisers.Muon(filters, lr=0.05)
    for _ in range(2):
        for number, weight in enumerate(filters):
            weight.grad = torch.randn(outputs, 4, 3, 3, generator=generator)
            gradient = weight.grad.double().numpy().reshape(outputs, 36)
            momenta[number] = 0.95 * momenta[number] + gradient
            step = reference_step(gradient + 0.95 * momenta[number])
            expected[number] = expected[number] - 0.05 * further * step
        optimiser.step()
    for weight, value in zip(filters, expected, strict=True):
        np.testing.assert_allclose(weight.detach().numpy().reshape(outputs, 36), value, rtol=1e-4, atol=1e-5)


def run_of(name: str, optimiser: str) -> training.Run:
    settings = settings_of(params.load(REPOSITORY / "params.yaml"), name)
    return training.Run(replace(settings, training=replace(settings.training, optimiser=optimiser)), CPU)


def test_every_parameter_has_one_optimiser_and_muon_those_of_hidden_convolutions():
    run = run_of("rhd-rgb-v4", "muon")
    adam, muon = ({id(p) for group in part.param_groups for p in group["params"]} for part in run.optimisers)
    names = {id(parameter): name for name, parameter in run.model.named_parameters()}
    assert adam | muon == set(names) and not adam & muon
    filters = {names[parameter] for parameter in muon}
    assert "encoders.rgb.trunk.layer4.1.conv2.weight" in filters and "decoders.rgb.blocks.1.weight" in filters
    assert "encoders.rgb.trunk.conv1.weight" not in filters  # reads the image
    assert all("conv" in name or "downsample" in name or "decoders.rgb" in name for name in filters)
    last = [name for name in names.values() if name.startswith("decoders.rgb")][-2]
    assert last not in filters  # paints the image


def test_the_papers_optimiser_is_one_adam_for_all_and_joints_alone_have_no_filters():
    for name, optimiser in (("rhd-rgb-v4", "adam"), ("rhd-2d-v3", "muon")):
        assert [type(part) for part in run_of(name, optimiser).optimisers] == [torch.optim.Adam]
