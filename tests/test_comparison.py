"""Paired comparison on fabricated predictions whose errors are known joint by joint."""

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from handvae.base.errors import InputError
from handvae.evaluation import bootstrap, metrics, uncertainty
from handvae.report import comparison
from tests.fabricated import write_predictions
from tests.test_tables import OTHERS, numbers, result, seeds

FRAMES = 40


def hard_frames(seed=0, joints=21):
    """Errors (N, J) in mm: some frames are much harder than others, for every model."""
    generator = np.random.default_rng(seed)
    return generator.gamma(2, 15, (FRAMES, 1)) + generator.gamma(4, 1, (FRAMES, joints))


def shown(joints=21):
    return np.random.default_rng(7).random((FRAMES, joints)) < 0.7


def write(path, errors_mm, visible=None, rows=None, names=None, block=None):
    """Predictions off by `errors_mm` (N, J) along z, or of several seeds by those of each; hidden joints by a mile."""
    seeds_mm = errors_mm if isinstance(errors_mm, list) else [errors_mm]
    visible = np.ones(seeds_mm[0].shape, bool) if visible is None else visible
    true_mm = np.random.default_rng(9).normal(size=(*visible.shape, 3)) * 40
    seeds_mm = [true_mm + np.where(visible, of_seed, 99_999)[..., None] * [0, 0, 1] for of_seed in seeds_mm]
    others = {"row": rows, "name": names, "block": block}
    others = {key: values for key, values in others.items() if values is not None}
    return write_predictions(path, seeds_mm, true_mm, visible=visible, **others)


@pytest.fixture
def model(tmp_path):
    """A function that writes an experiment of given errors, or of a list of each seed's, and returns its result."""

    def make(name, errors_mm, visible=None, rows=None, names=None, block=None, **changes):
        path = write(tmp_path / f"{name}.h5", errors_mm, visible, rows, names, block)
        metrics_ = numbers(25.0) | (seeds(len(errors_mm)) if isinstance(errors_mm, list) else {})
        return result(name, predictions=path, **({"metrics": metrics_} | changes))

    return make


def trained(errors_mm, count=3, deviation_mm=0.1, seed=5):
    """Errors (N, J) of some seeds of one way of training, whose means have exactly that standard deviation."""
    off_mm = np.random.default_rng(seed).normal(size=count)
    off_mm = (off_mm - off_mm.mean()) / off_mm.std(ddof=1)
    return [errors_mm + deviation_mm * off for off in off_mm]


def only_row(results):
    (row,) = comparison.paired_table(results).to_dict("records")
    return row


def test_a_constant_difference_is_found_exactly_however_much_frames_differ(model):
    errors_mm = hard_frames()
    results = [
        model("a", trained(errors_mm), shown()),
        model("b", trained(errors_mm + 0.5, deviation_mm=0.2), shown(), variant=2),
    ]
    row = only_row(results)
    assert (row["model_a"], row["model_b"], row["frames"], row["kind"]) == ("a", "b", FRAMES, "synthetic")
    assert (row["seeds"], row["blocks"], row["verdict"]) == (
        3,
        FRAMES,
        "a better",
    )
    assert row["difference_mm"] == pytest.approx(-0.5)
    # the frames add nothing to the spread of the seeds: Welch's test of 3 and 3
    expected = stats.ttest_ind_from_stats(0, 0.1, 3, 0.5, 0.2, 3, equal_var=False)
    assert row["p"] == row["p_holm"] == pytest.approx(expected.pvalue)
    assert row["p_frames"] == 1 / (1 + comparison.PERMUTATIONS)
    turned = only_row(results[::-1])
    assert turned["difference_mm"] == pytest.approx(0.5)
    alone = draws_of(errors_mm, shown())
    assert np.ptp(np.percentile(alone, [2.5, 97.5])) > 10  # each number alone says nothing of half a millimetre


@pytest.mark.parametrize("seeds_", [1, 2])
def test_with_fewer_than_three_seeds_nothing_is_said_however_sure_the_frames_are(model, seeds_):
    results = [
        model("a", trained(hard_frames(), 3, 0)),
        model("b", [hard_frames() + 20] * seeds_ if seeds_ > 1 else hard_frames() + 20, variant=2),
    ]
    row = only_row(results)
    assert row["verdict"] == f"cannot be told ({seeds_} seed{'s' * (seeds_ > 1)}; at least 3 are needed)"
    assert np.isnan(row["p"]) and np.isnan(row["p_holm"]) and row["p_frames"] < 0.001


def test_three_seeds_that_disagree_name_how_many_would_do(model):
    results = [
        model("a", trained(hard_frames(), deviation_mm=4)),
        model("b", trained(hard_frames() + 5, deviation_mm=4, seed=6), variant=2),
    ]
    row = only_row(results)
    # 5 mm are more than t times 4 * sqrt(2 / n) from n = 7 on: 2.18 * 2.14 = 4.66, of six 2.23 * 2.31 = 5.15
    assert row["verdict"] == "cannot be told (3 seeds; about 7 would be needed)" and row["difference_mm_high"] > 0
    more = [model(name, trained(hard_frames() + off, 7, 4, seed), variant=variant)
            for name, off, seed, variant in (("c", 0, 5, 1), ("d", 5, 6, 2))]  # fmt: skip
    assert only_row(more)["verdict"] == "a better"


def test_a_difference_that_the_frames_do_not_bear_out_wants_more_frames(model):
    noise_mm = np.random.default_rng(1).normal(0, 6, (FRAMES, 1))
    results = [model("a", trained(hard_frames() + 20)), model("b", trained(hard_frames() + 20 + noise_mm), variant=2)]
    assert only_row(results)["verdict"] == "cannot be told (3 seeds; more test frames would be needed)"


def draws_of(errors_mm, visible, block=None):
    """The mean EPE of the resamples that the comparison draws."""
    block = np.arange(len(errors_mm)) if block is None else block
    return bootstrap.resampled([bootstrap.mean(errors_mm, visible, block)], block, comparison.SEED)[0]


def test_the_interval_is_the_bootstraps_of_the_difference(model):
    errors_mm, other_mm = hard_frames(), hard_frames(1)
    block = np.arange(FRAMES) // 2
    row = only_row([model(*one, shown(), block=block, **{"variant": v})
                    for v, one in ((1, ("a", errors_mm)), (2, ("b", other_mm)))])  # fmt: skip
    expected = uncertainty.expanded_percentiles(draws_of(errors_mm - other_mm, shown(), block), FRAMES // 2)
    assert (row["difference_mm_low"], row["difference_mm_high"]) == pytest.approx(expected)
    difference_mm = metrics.mean_over_joints(errors_mm, shown()) - metrics.mean_over_joints(other_mm, shown())
    assert row["difference_mm"] == pytest.approx(difference_mm) and row["blocks"] == FRAMES // 2


def test_p_is_that_of_all_sign_flips():
    """Ten frames have 1,024 flips, which can all be tried."""
    differences_mm = np.random.default_rng(3).normal(0.5, 1, (10, 4))
    flips = 2 * (np.arange(1024)[:, None] >> np.arange(10) & 1) - 1
    exact = (np.abs(flips @ differences_mm) >= np.abs(differences_mm.sum(axis=0)) - 1e-9).mean(axis=0)
    single = np.arange(10)
    found = comparison.sign_flip_p_values(differences_mm, single)
    np.testing.assert_allclose(found, exact, atol=0.015)
    np.testing.assert_array_equal(found, comparison.sign_flip_p_values(-differences_mm, single))
    assert np.ptp(found) > 0.1
    # 0.1 + 0.2 + 0.3 - 0.1 is a rounding above -0.1 + 0.2 + 0.3 + 0.1, yet 6 of 16 flips reach it
    tied = comparison.sign_flip_p_values(np.array([[0.1], [0.2], [0.3], [-0.1]]), np.arange(4))
    assert tied == pytest.approx(6 / 16, abs=0.02)
    # both views of a frame are flipped together: as if there were one of twice the difference
    twice = comparison.sign_flip_p_values(differences_mm.repeat(2, axis=0), single.repeat(2))
    np.testing.assert_array_equal(twice, found)


def test_holms_correction_by_hand():
    p_values = np.array([0.01, 0.04, 0.03, 0.005])
    for given, corrected, factors in [
        (p_values, [0.03, 0.06, 0.06, 0.02], [3, 1, 2, 4]),
        (p_values[::-1], [0.02, 0.06, 0.06, 0.03], [4, 2, 1, 3]),
        (np.array([0.9, 0.6]), [1, 1], [1, 2]),
        (np.array([0.02]), [0.02], [1]),
        (np.array([np.nan, 0.02, np.nan, 0.01]), [np.nan, 0.02, np.nan, 0.02], [0, 1, 0, 2]),
        (np.array([np.nan]), [np.nan], [0]),
    ]:
        found = comparison.holm(given)
        np.testing.assert_allclose(found[0], corrected)
        assert found[1].tolist() == factors


def test_verdicts_are_those_after_the_correction_for_all_rows(model):
    results = [
        model(f"m{number}", trained(hard_frames() + 0.6 * number, 4, 0.3, number), variant=number)
        for number in range(5)
    ]
    table = comparison.paired_table(results)
    assert len(table) == 10
    np.testing.assert_allclose(table["p_holm"], comparison.holm(table["p"].to_numpy())[0])
    lost = (table["p"] < comparison.LEVEL) & (table["p_holm"] >= comparison.LEVEL)
    assert lost.any() and table.loc[lost, "verdict"].str.match(r"cannot be told \(4 seeds; about \d+ would").all()
    found = table[table["p_holm"] < comparison.LEVEL]
    assert len(found) and set(found["verdict"]) == {"a better"}
    pd.testing.assert_frame_equal(table, comparison.paired_table(results))


def test_pairs_are_of_one_task_and_of_the_models_that_the_tables_show(model):
    errors_mm = hard_frames()
    results = [model(f"rhd-{v}", errors_mm + v, variant=v) for v in (1, 2, 3)]
    results += [model(f"lifting-{v}", errors_mm + v, variant=v, input="joints_2d") for v in (1, 2)]
    results += [model("stb", errors_mm, dataset="stb")]
    table = comparison.paired_table([*OTHERS, *results, *OTHERS])
    assert table[["task", "model_a", "model_b"]].to_numpy().tolist() == [
        ["RGB->3D RHD", "rhd-1", "rhd-2"],
        ["RGB->3D RHD", "rhd-1", "rhd-3"],
        ["RGB->3D RHD", "rhd-2", "rhd-3"],
        ["2D->3D RHD", "lifting-1", "lifting-2"],
    ]


def test_the_papers_difference_stands_where_it_prints_both(model):
    errors_mm = hard_frames()
    results = [
        *(model("v1", errors_mm), model("v2", errors_mm, variant=2), model("v1-t", errors_mm, invariances="T")),
        *(model("v2-t", errors_mm, variant=2, invariances="T"), model("v1-deep", errors_mm, encoder="resnet50")),
    ]
    depth = {"dataset": "icvl", "input": "depth", "invariances": "T+H"}
    icvl_mm = hard_frames(joints=16)
    results += [model("r50", icvl_mm, encoder="resnet50", **depth), model("r18", icvl_mm, **depth)]
    table = comparison.paired_table(results).set_index(["model_a", "model_b"])["paper_difference_mm"]
    printed = {("v1", "v2"): 19.73 - 19.99, ("v1", "v1-t"): 19.73 - 22.53, ("v2", "v1-t"): 19.99 - 22.53}
    assert table.dropna().to_dict() == pytest.approx(printed | {("r50", "r18"): 8.0 - 8.5})


def test_from_depth_all_evaluated_joints_count_and_no_others(model, tmp_path):
    errors_mm = hard_frames(joints=36)
    others = np.setdiff1d(np.arange(36), (0, 3, 6, 9, 12, 15, 18, 21, 24, 25, 27, 30, 31, 32))
    depth = {"dataset": "nyu", "input": "depth", "invariances": "T+H"}
    results = [model("a", errors_mm, **depth), model("b", errors_mm, variant=2, **depth)]
    with h5py.File(tmp_path / "b.h5", "r+") as file:
        file["joints_pred_mm"][:, others] += 700
        file["joints_pred_mm"][: FRAMES // 2, 3, 2] += 28
    (row,) = comparison.paired_table(results).to_dict("records")
    assert row["difference_mm"] == pytest.approx(-14 / 14)


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"names": [f"image {number}" for number in range(FRAMES)]}, "name"),
        ({"rows": np.arange(FRAMES)[::-1]}, "row"),
        ({"visible": ~shown()}, "visible"),
        ({"block": np.arange(FRAMES) // 2}, "block"),
    ],
)
def test_models_tested_on_other_frames_are_refused(model, change, column):
    first = model("a", hard_frames(), shown())
    second = model("b", hard_frames(), **({"visible": shown()} | change), variant=2)
    with pytest.raises(
        InputError, match=rf"b\.h5: expected the 40 test frames of .*a\.h5, found others in the column {column}$"
    ):
        comparison.paired_table([first, second])


def test_an_empty_table_has_the_columns_of_a_full_one(model):
    full = comparison.paired_table([model("a", hard_frames()), model("b", hard_frames(1), variant=2)])
    assert list(comparison.paired_table([]).columns) == list(full.columns) == list(comparison.COLUMNS)
    assert len(comparison.paired_table([model("c", hard_frames())])) == 0


def test_where_nothing_differs_one_test_in_twenty_says_so():
    single = np.random.default_rng(0).standard_t(3, (60, 500))
    pairs_alike = single.repeat(4, axis=0) + np.random.default_rng(1).normal(0, 0.1, (240, 500))
    for differences_mm, block in ((single, np.arange(60)), (pairs_alike, np.arange(60).repeat(4))):
        found = comparison.sign_flip_p_values(differences_mm, block)
        assert 0.03 < (found < 0.05).mean() < 0.075 and 0.45 < np.median(found) < 0.55
    row_by_row = comparison.sign_flip_p_values(pairs_alike, np.arange(240))
    assert (row_by_row < 0.05).mean() > 0.2


def test_three_seeds_that_agree_say_which_is_better(model):
    results = [model("a", trained(hard_frames())), model("b", trained(hard_frames() + 5, seed=6), variant=2)]
    assert only_row(results)["verdict"] == "a better" and only_row(results[::-1])["verdict"] == "b better"


def test_two_models_that_err_alike_cannot_be_told_apart(model):
    row = only_row([model("a", hard_frames()), model("b", hard_frames(), variant=2)])
    assert (row["difference_mm"], row["p_frames"]) == (0, 1) and row["verdict"].startswith("cannot be told")


def test_folds_are_compared_with_the_same_fold_only(model):
    def fold(name, subject, encoder):
        names = [f"{subject}/{number}" for number in range(FRAMES)]
        changes = {"dataset": "msra", "input": "depth", "invariances": "T+H", "encoder": encoder}
        return model(name, hard_frames(), names=names, test_subject=subject, **changes)

    results = [fold(f"{s}-{e}", s, e) for s in ("P0", "P1") for e in ("resnet18", "resnet50")]
    table = comparison.paired_table(results)
    assert table["task"].tolist() == ["depth->3D MSRA, P0", "depth->3D MSRA, P1"]
    assert table["paper_difference_mm"].isna().all()


def test_models_of_one_seed_are_no_tests_and_cost_the_others_nothing(model):
    results = [model("a", trained(hard_frames())), model("b", trained(hard_frames() + 5, seed=6), variant=2)]
    alone = only_row(results)
    more = comparison.paired_table([*results, *(model(f"m{v}", hard_frames(v), variant=v) for v in (3, 4))])
    assert more["p"].notna().sum() == 1 and more["p_holm"].dropna().tolist() == [alone["p_holm"]] == [alone["p"]]


def test_the_text_names_task_data_and_blocks_above_its_rows(model):
    results = [model("a", trained(hard_frames())), model("b", trained(hard_frames() + 5, seed=6), variant=2)]
    pairs = np.arange(FRAMES) // 2
    results += [model("c", hard_frames(), dataset="stb", block=pairs)]
    results += [model("d", hard_frames(), dataset="stb", block=pairs, invariances="T+S")]
    header, rows = comparison.paired_text(comparison.paired_table(results))
    assert [row[0] for row in rows] == [
        *("**RGB->3D RHD, synthetic, 40 blocks of frames**", "a"),
        *("**RGB->3D STB, synthetic, 20 blocks of frames**", "c"),
    ]
    assert {len(row) for row in rows} == {len(header)}
    assert rows[1][:2] == ["a", "b"] and rows[1][2].startswith("−5.00 [−5.") and rows[1][3] == "0.0001"
    assert rows[1][6:] == ["−0.26", "3", "a better"]
    assert rows[3][2:7] == ["+0.00 [+0.00, +0.00]", "1.0000", "–", "–", "–"]
    assert rows[3][7:] == ["1", "cannot be told (1 seed; at least 3 are needed)"]
