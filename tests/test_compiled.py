"""The loss of a pair, compiled: terms and gradients of the plain model, and no more compilations than pairs."""

from dataclasses import replace

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from handvae.model import training, vae
from tests.test_training import CPU, batch_of, data, noise_of, settings

__all__ = ["data"]  # the fixture


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("stb-cross", [("rgb", "rgb"), ("joints_2d", "joints_3d"), ("joints_3d", "joints_2d")]),
        ("icvl-resnet18", [("depth", "joints_3d"), ("depth", "depth")]),
    ],
)
def test_every_pair_is_compiled_once_for_all_seeds_into_the_terms_and_gradients_of_the_plain_model(
    data, tmp_path, name, pairs
):
    """Compiled again it would count: after eight times torch falls back to the plain model, without an error."""
    torch.compiler.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(vae.terms, backend=counter)
    chosen = replace(settings(name), pairs=tuple(pairs))
    batch, noise = batch_of(chosen, data, tmp_path), noise_of(1)
    for seed in range(2):
        of_seed = replace(chosen, experiment=replace(chosen.experiment, seed=seed))
        for source, target in pairs:
            values = []
            for terms in (vae.terms, compiled):
                model = training.Run(of_seed, CPU).model.train()
                of_pair = terms(model, source, (target,), batch, noise, chosen.loss)
                of_pair.sum().backward()
                gradients = {key: value.grad for key, value in model.named_parameters() if value.grad is not None}
                values.append({"terms": of_pair.detach(), **gradients, **dict(model.named_buffers())})
            assert set(values[0]) == set(values[1])
            for key, value in values[0].items():
                torch.testing.assert_close(values[1][key], value)
    assert counter.frame_count == len(pairs)
