"""Paired comparison on fabricated predictions whose errors are known joint by joint."""

import numpy as np
import pytest
from scipy import stats

from handvae.base.errors import InputError
from handvae.evaluation import bootstrap, metrics, uncertainty
from handvae.report import comparison
from tests.fabricated import hard_frames, numbers, result, seeds, trained
from tests.fabricated import write_errors as write
from tests.test_tables import OTHERS

FRAMES = 40


def some_visible(joints=21):
    return np.random.default_rng(7).random((FRAMES, joints)) < 0.7


@pytest.fixture
def model(tmp_path):
    """A function that writes an experiment of given errors, or of a list of each seed's, and returns its result."""

    def make(name, errors_mm, visible=None, columns=None, **changes):
        path = write(tmp_path / f"{name}.h5", errors_mm, visible, **(columns or {}))
        measured = numbers(25.0) | (seeds(len(errors_mm)) if isinstance(errors_mm, list) else {})
        return result(name, predictions=path, **({"metrics": measured} | changes))

    return make


def only_row(*results):
    (row,) = comparison.paired_table(results).to_dict("records")
    return row


def test_a_constant_difference_is_told_exactly_however_much_frames_differ(model):
    a = model("a", trained(hard_frames()), some_visible())
    b = model("b", trained(hard_frames() + 0.5, deviation_mm=0.2), some_visible(), variant=2)
    row = only_row(a, b)
    assert [row[name] for name in ("model_a", "model_b", "verdict")] == ["a", "b", "a better"]
    assert [row[name] for name in ("frames", "blocks", "seeds", "kind")] == [FRAMES, FRAMES, 3, "synthetic"]
    assert row["difference_mm"] == pytest.approx(-0.5)
    # the frames add nothing to the spread of the seeds: Welch's test of 3 and 3
    expected = stats.ttest_ind_from_stats(0, 0.1, 3, 0.5, 0.2, 3, equal_var=False)
    assert row["p"] == row["p_holm"] == pytest.approx(expected.pvalue)
    assert row["p_frames"] == 1 / (1 + comparison.PERMUTATIONS)
    turned = only_row(b, a)
    assert turned["difference_mm"] == pytest.approx(0.5) and turned["verdict"] == "b better"
    alone = draws_of(hard_frames(), some_visible())
    assert np.ptp(np.percentile(alone, [2.5, 97.5])) > 10  # each number alone says nothing of half a millimetre


def test_with_fewer_than_three_seeds_nothing_is_said_however_sure_the_frames_are(model):
    row = only_row(model("a", trained(hard_frames(), 3, 0)), model("b", [hard_frames() + 20] * 2, variant=2))
    assert row["verdict"] == "cannot be told (2 seeds; at least 3 are needed)"
    assert np.isnan(row["p"]) and np.isnan(row["p_holm"]) and row["p_frames"] < 0.001


def draws_of(errors_mm, visible, block=None):
    """The mean EPE of the resamples that the comparison draws."""
    block = np.arange(len(errors_mm)) if block is None else block
    return bootstrap.resampled([bootstrap.mean(errors_mm, visible, block)], block, comparison.SEED)[0]


def test_the_interval_is_the_bootstraps_of_the_difference(model):
    errors_mm, other_mm, block = hard_frames(), hard_frames(1), np.arange(FRAMES) // 2
    row = only_row(
        model("a", errors_mm, some_visible(), {"block": block}),
        model("b", other_mm, some_visible(), {"block": block}, variant=2),
    )
    expected = uncertainty.expanded_percentiles(draws_of(errors_mm - other_mm, some_visible(), block), FRAMES // 2)
    assert (row["difference_mm_low"], row["difference_mm_high"]) == pytest.approx(expected)
    means_mm = [metrics.mean_over_joints(mm, some_visible()) for mm in (errors_mm, other_mm)]
    assert row["difference_mm"] == pytest.approx(means_mm[0] - means_mm[1]) and row["blocks"] == FRAMES // 2


def test_p_is_that_of_all_sign_flips():
    """Ten frames have 1,024 flips, which can all be tried."""
    differences_mm, single = np.random.default_rng(3).normal(0.5, 1, (10, 4)), np.arange(10)
    flips = 2 * (np.arange(1024)[:, None] >> np.arange(10) & 1) - 1
    exact = (np.abs(flips @ differences_mm) >= np.abs(differences_mm.sum(axis=0)) - 1e-9).mean(axis=0)
    p_values = comparison.sign_flip_p_values(differences_mm, single)
    np.testing.assert_allclose(p_values, exact, atol=0.015)
    np.testing.assert_array_equal(p_values, comparison.sign_flip_p_values(-differences_mm, single))
    assert np.ptp(p_values) > 0.1
    # 0.1 + 0.2 + 0.3 - 0.1 is a rounding above -0.1 + 0.2 + 0.3 + 0.1, yet 6 of 16 flips reach it
    tied = comparison.sign_flip_p_values(np.array([[0.1], [0.2], [0.3], [-0.1]]), np.arange(4))
    assert tied == pytest.approx(6 / 16, abs=0.02)
    # both views of a frame are flipped together: as if there were one of twice the difference
    twice = comparison.sign_flip_p_values(differences_mm.repeat(2, axis=0), single.repeat(2))
    np.testing.assert_array_equal(twice, p_values)


def test_where_nothing_differs_one_test_in_twenty_says_so_and_with_blocks_torn_apart_four_times_as_many():
    pairs_alike = np.random.default_rng(0).standard_t(3, (60, 500)).repeat(4, axis=0)
    pairs_alike += np.random.default_rng(1).normal(0, 0.1, (240, 500))
    p_values = comparison.sign_flip_p_values(pairs_alike, np.arange(60).repeat(4))
    assert 0.03 < (p_values < 0.05).mean() < 0.075 and 0.45 < np.median(p_values) < 0.55
    assert (comparison.sign_flip_p_values(pairs_alike, np.arange(240)) < 0.05).mean() > 0.2


def test_holms_correction_by_hand():
    p_holm, factors = comparison.holm(np.array([0.01, 0.04, np.nan, 0.03, 0.005]))
    np.testing.assert_allclose(p_holm, [0.03, 0.06, np.nan, 0.06, 0.02])
    assert factors.tolist() == [3, 1, 0, 2, 4]


def test_verdicts_are_those_after_the_correction_for_all_rows(model):
    seeds_mm = [trained(hard_frames() + 0.6 * number, 4, 0.3, number) for number in range(5)]
    results = [model(f"m{number}", of_model, variant=number) for number, of_model in enumerate(seeds_mm)]
    table = comparison.paired_table([*results, model("one seed", hard_frames(), variant=6)])
    table = table[table["model_b"] != "one seed"]  # no tests, which cost the others nothing
    assert len(table) == 10
    np.testing.assert_allclose(table["p_holm"], comparison.holm(table["p"].to_numpy())[0])
    lost = (table["p"] < comparison.LEVEL) & (table["p_holm"] >= comparison.LEVEL)
    assert lost.any() and table.loc[lost, "verdict"].str.match(r"cannot be told \(4 seeds; about \d+ would").all()
    assert set(table.loc[table["p_holm"] < comparison.LEVEL, "verdict"]) == {"a better"}


def test_pairs_are_of_one_task_and_fold_and_of_the_models_that_the_tables_show(model):
    results = [model(f"rhd-{v}", hard_frames(), variant=v) for v in (1, 2)]
    results += [model(f"lifting-{v}", hard_frames(), variant=v, input="joints_2d") for v in (1, 2)]
    results += [model("stb", hard_frames(), dataset="stb")]
    results += [
        model(f"{subject}-{encoder}", hard_frames(), columns={"name": [f"{subject}/{n}" for n in range(FRAMES)]},
              dataset="msra", input="depth", invariances="T+H", encoder=encoder, test_subject=subject)
        for subject in ("P0", "P1") for encoder in ("resnet18", "resnet50")
    ]  # fmt: skip
    table = comparison.paired_table([*OTHERS, *results, *OTHERS])
    assert table[["task", "model_a", "model_b"]].to_numpy().tolist() == [
        ["RGB->3D RHD", "rhd-1", "rhd-2"],
        ["2D->3D RHD", "lifting-1", "lifting-2"],
        ["depth->3D MSRA, P0", "P0-resnet18", "P0-resnet50"],
        ["depth->3D MSRA, P1", "P1-resnet18", "P1-resnet50"],
    ]


@pytest.mark.parametrize(
    ("column", "values"), [("name", [f"image {n}" for n in range(FRAMES)]), ("block", np.arange(FRAMES) // 2)]
)
def test_models_tested_on_other_frames_are_refused(model, column, values):
    pair = [model("a", hard_frames()), model("b", hard_frames(), columns={column: values}, variant=2)]
    message = rf"b\.h5: expected the 40 test frames of .*a\.h5, found others in the column {column}$"
    with pytest.raises(InputError, match=message):
        comparison.paired_table(pair)


def test_the_text_names_task_data_and_blocks_above_its_rows(model):
    pair = [model("a", trained(hard_frames())), model("b", trained(hard_frames() + 5, seed=6), variant=2)]
    stb = {"columns": {"block": np.arange(FRAMES) // 2}, "dataset": "stb"}
    pair += [model("c", hard_frames(), **stb), model("d", hard_frames(), invariances="T+S", **stb)]
    _, rows = comparison.paired_text(comparison.paired_table(pair))
    assert rows[0][0] == "**RGB->3D RHD, synthetic, 40 blocks of frames**"
    assert rows[1][:2] == ["a", "b"] and rows[1][2].startswith("−5.00 [−5.") and rows[1][3] == "0.0001"
    assert rows[1][6:] == ["−0.26", "3", "a better"]
    assert rows[2][0] == "**RGB->3D STB, synthetic, 20 blocks of frames**"
    assert rows[3][2:7] == ["+0.00 [+0.00, +0.00]", "1.0000", "–", "–", "–"]
    assert rows[3][7:] == ["1", "cannot be told (1 seed; at least 3 are needed)"]
