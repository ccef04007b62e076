from dataclasses import replace

import pytest

from handvae.base import params
from handvae.base.sections import Loss
from handvae.model import schedules
from tests.conftest import REPOSITORY

TRAINING = next(iter(params.load(REPOSITORY / "params.yaml").profile.training.values()))


def rates(schedule):
    training = replace(TRAINING, steps=100, warmup_steps=10, schedule=schedule)
    return [schedules.rate_share(step, training) for step in range(100)]


def test_learning_rate_warms_up_then_stays_and_ends_at_zero():
    constant, linear = rates("constant"), rates("linear_end")
    assert constant[:10] == linear[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert set(constant[10:]) == set(linear[10:61]) == {1.0}
    assert linear[60:] == pytest.approx([(100 - step) / 40 for step in range(60, 100)])


def test_kl_weight_rises_geometrically_and_then_stays():
    loss = Loss("sum", {}, kl_weight=0.1, kl_weight_start=0.001, kl_warmup_share=0.5, kl_normaliser="elbo")
    for step, expected in ((0, 0.001), (25, 0.01), (50, 0.1), (99, 0.1)):
        assert schedules.kl_weight(step, 100, loss) == pytest.approx(expected)
    assert schedules.kl_weight(0, 100, replace(loss, kl_warmup_share=0.0)) == pytest.approx(0.1)
