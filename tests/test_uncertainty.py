"""Intervals and verdicts over frames and seeds, by hand and on simulated trainings."""

import numpy as np
import pytest
from scipy import stats

from handvae.evaluation import uncertainty
from handvae.evaluation.uncertainty import Number


def difference(a, b):
    return a - b


def draws_of(standard_deviation, seed=0, count=1000):
    """Resamples of exactly that spread about 0."""
    values = np.random.default_rng(seed).normal(size=count)
    return standard_deviation * (values - values.mean()) / values.std()


def test_without_spread_of_frames_it_is_welchs_test():
    a, b = np.array([20.0, 21, 23, 20.5]), np.array([24.0, 26, 24.5])
    number = uncertainty.number(difference, [a, b], [np.zeros((4, 9)), np.zeros((3, 9))], blocks=100)
    expected = stats.ttest_ind(a, b, equal_var=False)
    assert number.value == pytest.approx(a.mean() - b.mean()) and number.seeds == 3
    assert number.p_value() == pytest.approx(expected.pvalue)
    assert number.interval() == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_frames_and_seeds_add_up_by_hand():
    number = Number(5.0, draws_of(0.6), blocks=10, deviations=(1.2, 0.9), counts=(3, 3))
    parts = [0.36 * 10 / 9, 1.44 / 3, 0.81 / 3]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 9 + parts[1] ** 2 / 2 + parts[2] ** 2 / 2)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(sum(parts))
    assert number.interval() == pytest.approx((5 - half, 5 + half))
    assert number.p_value() == pytest.approx(2 * stats.t.sf(5 / np.sqrt(sum(parts)), freedom))


def test_with_one_seed_the_interval_is_of_the_frames_alone():
    draws = 5 + draws_of(1.0)
    number = Number(5.0, draws, blocks=10**6, deviations=(np.nan, np.nan), counts=(1, 1))
    assert number.interval() == pytest.approx(tuple(np.percentile(draws, [2.5, 97.5])), abs=1e-3)
    assert np.isnan(number.p_value())
    few = Number(5.0, draws, blocks=10, deviations=(np.nan,), counts=(1,)).interval()
    assert np.ptp(few) == pytest.approx(2 * stats.t.ppf(0.975, 9) * np.sqrt(10 / 9), rel=0.07)


def test_of_one_block_there_is_no_interval():
    for seeds in (1, 4):
        number = Number(5.0, np.full(9, 5.0), blocks=1, deviations=(1.0,), counts=(seeds,))
        assert np.isnan(number.interval()).all() and np.isnan(number.p_value())


def test_the_spread_of_a_ratio_is_that_of_its_parts():
    generator = np.random.default_rng(0)
    before, after = 20 + generator.normal(0, 0.3, 5), 15 + generator.normal(0, 0.2, 5)
    number = uncertainty.number(
        lambda a, b: 100 * (a - b) / a, [before, after], [np.zeros((5, 9)) + 20, np.zeros((5, 9)) + 15], 9
    )
    b, a = before.mean(), after.mean()
    assert number.value == pytest.approx(100 * (b - a) / b) and number.draws[0] == 25
    by_hand = 100 * a / b**2 * before.std(ddof=1), 100 / b * after.std(ddof=1)
    assert number.deviations == pytest.approx(by_hand, rel=0.05)


def test_two_ways_of_training_that_are_alike_are_told_apart_one_time_in_twenty_at_most():
    """Frames and seeds both make a difference of models of which in the mean there is none."""
    generator, wrong = np.random.default_rng(0), 0
    for _ in range(600):
        frames = generator.normal(0, 0.4)  # these test frames favour a, whatever the seed
        values = [generator.normal(0, 0.8, 3) + shift for shift in (frames, 0)]
        draws = [values[0][:, None] + draws_of(0.4, 1), values[1][:, None] + draws_of(0.0, 1)]
        number = uncertainty.number(difference, values, draws, blocks=30)
        low, high = number.interval()
        assert (number.p_value() < 0.05) == (not low <= 0 <= high)
        wrong += number.p_value() < 0.05
    assert 0.01 < wrong / 600 < 0.07


def test_the_seeds_needed_are_the_fewest_that_would_tell():
    number = Number(1.0, draws_of(0.1), blocks=200, deviations=(1.0, 1.0), counts=(3, 3))
    needed = number.seeds_needed(1.0)
    for count, enough in ((needed - 1, False), (needed, True)):
        ends = Number(1.0, number.draws, 200, (1.0, 1.0), (count, count)).interval()
        assert (ends[0] > 0) == enough
    assert 8 <= needed <= 14  # 2 * 1 / n against (1 / 2.1) ** 2
    assert number.seeds_needed(1.0, level=0.001) > 2 * needed
    assert number.seeds_needed(0.19) is None  # 1.97 times the frames' 0.1 reaches as far


@pytest.mark.parametrize(
    ("seeds", "frames", "blocks", "lacking"),
    [
        (2, 0.1, 200, "2 seeds; at least 3 are needed"),
        (3, 2.0, 200, "3 seeds; more test frames would be needed"),
        (3, 0.1, 1, "3 seeds; more test frames would be needed"),
        (3, 0.1, 200, "3 seeds; about {} would be needed"),
    ],
)
def test_what_cannot_be_told_says_what_is_lacking(seeds, frames, blocks, lacking):
    number = Number(1.0, draws_of(frames), blocks, (1.0, 1.0), (seeds, seeds))
    needed = number.seeds_needed(1.0) if "{}" in lacking else None
    assert uncertainty.untold(number, 1.0) == f"cannot be told ({lacking.format(needed)})"
