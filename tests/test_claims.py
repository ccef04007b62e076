"""Verdicts by rule, and each claim's number on fabricated predictions of which it is known."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from handvae.base.joints import SKELETONS
from handvae.evaluation.uncertainty import OPEN
from handvae.report import claims, comparison, latent_claims, paper, verdicts
from handvae.report.text import WORDS
from handvae.report.verdicts import ABSENT, FAILS, HOLDS, Criterion, above, below
from tests.test_comparison import hard_frames, trained
from tests.test_comparison import write as write_predictions
from tests.test_latent_figures import latent_of
from tests.test_latent_figures import write as write_latent
from tests.test_tables import numbers, result

COUNTS = {1: 12_398_387, 2: 13_512_679, 3: 13_233_054, 4: 14_347_346}
BONES = SKELETONS["HAND21"].bones


@pytest.fixture
def model(tmp_path):
    """A function that writes an experiment of three seeds that err by the same and returns its result."""

    def make(name, errors_mm, input_="rgb", variant=1, **changes):
        seeds_mm = errors_mm if isinstance(errors_mm, list) else 3 * [errors_mm]
        path = write_predictions(tmp_path / f"{name}.h5", seeds_mm)
        metrics = numbers(float(np.mean(seeds_mm))) | ({"seeds": len(seeds_mm)} if len(seeds_mm) > 1 else {})
        return result(name, input_, variant, predictions=path, metrics=metrics, **changes)

    return make


def only(part, results):
    paired = [comparison.paired_table(results)] if part in (claims.invariance_rows, claims.encoder_rows) else []
    return list(part(results, *paired))


@pytest.mark.parametrize(
    ("low", "high", "criterion", "expected"),
    [
        (0.1, 0.4, above(0, "mm"), HOLDS),
        (-0.1, 0.4, above(0, "mm"), OPEN),
        (-0.4, -0.1, above(0, "mm"), FAILS),
        (-0.4, 0.0, above(0, "mm"), FAILS),  # the bound itself is not on the claim's side
        (0.0, 0.4, above(0, "mm"), OPEN),
        (3, 9, below(10, "%"), HOLDS),
        (3, 11, below(10, "%"), OPEN),
        (10, 11, below(10, "%"), FAILS),
        (-0.5, 0.5, Criterion(-1, 1, ""), HOLDS),
        (-2, 2, Criterion(-1, 1, ""), OPEN),
        (-2, -1, Criterion(-1, 1, ""), FAILS),
        (np.nan, np.nan, below(10, "%"), OPEN),
    ],
)
def test_the_interval_and_the_criterion_alone_decide(low, high, criterion, expected):
    assert criterion.side_of(low, high) == expected


def test_intervals_hold_the_truth_shrink_with_the_frames_and_are_seeded():
    values, block = np.random.default_rng(0).normal(5, 1, 400), np.arange(400)
    number = verdicts.mean_number([values], block)
    low, high = number.interval()
    assert low < number.value < high and low < 5 < high and number.value == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert verdicts.mean_number([values], block).interval() == (low, high)
    assert verdicts.mean_number([values.repeat(2)], block.repeat(2)).interval() == pytest.approx((low, high))
    assert verdicts.mean_number([3 * values], block, over=[values]).interval() == pytest.approx(
        (3, 3)
    )  # drawn together


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        ([4.0], "cannot be told (1 seed; at least 3 are needed)"),
        ([4.0, 4.0], "cannot be told (2 seeds; at least 3 are needed)"),
        ([3.9, 4.0, 4.1], HOLDS),
        ([11.9, 12.0, 12.1], FAILS),
        ([4.0, 9.0, 5.0], "cannot be told (3 seeds; about 5 would be needed)"),  # 6.0 +- 6.6; 10 is 4 away
        ([14.0, 19.0, 15.0], "cannot be told (3 seeds; about 4 would be needed)"),  # 16.0 +- 6.6
    ],
)
def test_a_claim_takes_three_seeds_that_agree(seeds, expected):
    steady = np.random.default_rng(0).normal(0, 0.01, 400)
    number = verdicts.mean_number([value + steady - steady.mean() for value in seeds], np.arange(400))
    row = verdicts.row("invariances_help", "", number, below(10, "%"), "")
    assert row["verdict"] == expected and row["seeds"] == len(seeds)


def test_a_claim_and_a_paired_test_of_the_same_two_models_say_the_same(model):
    """At spreads from clear to hopeless; the claim is one test, the table has many and corrects for them."""
    base_mm = hard_frames()
    seen = []
    for deviation_mm in (0.05, 0.4, 0.8, 3.0):
        shifts = {"T+S+H": 0.0, "T+S": 1.0, "T+H": -1.0, "T": 2.0}
        results = [
            model(f"{name}-{deviation_mm}", trained(base_mm + mm, 4, deviation_mm, place), invariances=name)
            for place, (name, mm) in enumerate(shifts.items())
        ]
        paired = comparison.paired_table(results).set_index(["model_a", "model_b"])
        rows = only(claims.invariance_rows, results)[3:6]
        for fewer, row in zip(results[1:], rows, strict=True):
            pair = paired.loc[(results[0].experiment, fewer.experiment)]
            expected = {"a better": HOLDS, "b better": FAILS}.get(pair["verdict"], pair["verdict"])
            assert row["verdict"] == expected and row["value"] == pytest.approx(-pair["difference_mm"])
            assert (row["low"], row["high"]) == pytest.approx((-pair["difference_mm_high"], -pair["difference_mm_low"]))
            seen.append(expected)
    assert {HOLDS, FAILS} < set(seen) and any("would be needed" in verdict for verdict in seen)
    turned = only(claims.invariance_rows, results[::-1])[3:6]
    assert [row["verdict"] for row in turned] == [row["verdict"] for row in rows]


def test_variants_that_differ_as_little_as_in_the_paper_are_alike(model):
    errors_mm = hard_frames()
    alike = [model(f"v{variant}", errors_mm * (1 + 0.02 * variant), variant=variant) for variant in (1, 2, 3, 4)]
    row = only(claims.variant_rows, alike)[1]
    assert (row["value"], row["low"], row["high"]) == pytest.approx(3 * (100 * (1.08 / 1.02 - 1),))
    assert row["verdict"] == HOLDS and row["statistic"].startswith("RGB->3D RHD, variants 1, 2, 3, 4: ")
    apart = [alike[0], model("v4-apart", errors_mm * 1.2, variant=4)]
    row = only(claims.variant_rows, apart)[1]
    assert row["value"] == pytest.approx(100 * (1.2 / 1.02 - 1)) and row["verdict"] == FAILS
    # the largest that the paper calls minor: 8.56 to 9.57 mm on STB
    assert row["criterion"] == "below 11.8 %" and pytest.approx(11.8, abs=0.01) == 100 * (9.57 / 8.56 - 1)


def test_fewer_invariances_are_compared_with_the_papers_best_variant_frame_by_frame(model):
    errors_mm = hard_frames()
    results = [
        model("all", errors_mm),
        model("other", errors_mm - 5, variant=2),  # not the variant of Table 2
        model("ts", errors_mm + 0.5, invariances="T+S"),
        model("t", errors_mm - 0.5, invariances="T"),
    ]
    rows = only(claims.invariance_rows, results)
    assert len(rows) == 9
    of_rgb = rows[3:6]
    assert [row["verdict"] for row in of_rgb] == [HOLDS, ABSENT, FAILS]
    assert [of_rgb[place]["value"] for place in (0, 2)] == pytest.approx([0.5, -0.5])
    assert of_rgb[1]["data"] == "needs variant 1 of RGB->3D RHD with T+H and with T+S+H"
    assert {row["verdict"] for row in rows[:3] + rows[6:]} == {ABSENT}


def test_rows_of_one_seed_beside_rows_of_three_leave_open_only_what_they_are_in(model):
    """As where a profile repeats some rows: 2D->3D three times, RGB->3D once but for two rows of few labels."""
    errors_mm = hard_frames()
    lifting = {"input_": "joints_2d", "variant": 3}
    results = [
        model("2d", trained(errors_mm, 3, 0.1), **lifting),
        model("2d-ts", trained(errors_mm + 3, 3, 0.1, 1), **lifting, invariances="T+S"),
        model("2d-t", [errors_mm + 3], **lifting, invariances="T"),
        model("rgb-v1", trained(errors_mm, 3, 0.1, 2)),
        model("rgb-v2", [errors_mm * 2], variant=2),
        *(
            model(f"l{v}", trained(errors_mm - v, 3, 0.1, v), variant=v, dataset="stb", label_fraction=0.1)
            for v in (1, 3)
        ),
    ]
    open_ = f"{OPEN} (1 seed; at least 3 are needed)"
    parts = (claims.variant_rows, claims.invariance_rows, claims.label_rows)
    rows = [row for part in parts for row in only(part, results) if row["verdict"] != ABSENT]
    assert [(row["statistic"].split(":")[0], row["seeds"], row["verdict"]) for row in rows] == [
        ("RGB->3D RHD, variants 1, 2", 1, open_),
        ("2D->3D RHD, variant 3", 3, HOLDS),  # with T+S
        ("2D->3D RHD, variant 3", 1, open_),  # with T
        ("RGB->3D STB, 10 % labelled", 3, HOLDS),
    ]
    paired = comparison.paired_table(results)
    assert paired["seeds"].tolist() == [3, 1, 1, 1]
    assert paired["verdict"].tolist() == ["a better", open_, open_, open_]
    alone = comparison.paired_table(results[:2])  # what cannot be told is no test, and corrects no other
    assert paired["p_holm"][0] == alone["p_holm"][0]


def test_few_labels_compare_the_medians_of_variants_3_and_1_at_one_share(model):
    errors_mm = hard_frames()

    def stb(name, errors_mm, variant, share):
        return model(name, errors_mm, variant=variant, dataset="stb", label_fraction=share)

    results = [
        *(stb(f"v{variant}", errors_mm, variant, 1.0) for variant in (1, 3)),
        *(stb(f"v1-{share}", errors_mm, 1, share) for share in (0.1, 0.3)),
        stb("v3-0.1", errors_mm * 0.8, 3, 0.1),
        stb("v3-0.3", errors_mm * 1.1, 3, 0.3),
    ]
    few, more = only(claims.label_rows, results)
    assert (few["value"], few["low"], few["high"]) == pytest.approx((20, 20, 20)) and few["verdict"] == HOLDS
    assert more["value"] == pytest.approx(-10) and more["verdict"] == FAILS and "30 % labelled" in more["statistic"]
    for some in (results[:2], results[2:4]):
        (row,) = only(claims.label_rows, some)
        assert row["verdict"] == ABSENT


def test_encoders_are_compared_where_all_else_is_alike(model):
    errors_mm = hard_frames(joints=16)
    depth = {"dataset": "icvl", "invariances": "T+H"}
    shallow = model("r18", errors_mm + 2, "depth", **depth)
    deep = model("r50", errors_mm, "depth", encoder="resnet50", **depth)
    (row,) = only(claims.encoder_rows, [shallow, deep])
    assert row["value"] == pytest.approx(2) and row["verdict"] == HOLDS and row["statistic"].startswith("ICVL: ")
    (row,) = only(claims.encoder_rows, [replace(shallow, invariances="T"), deep])
    assert row["verdict"] == ABSENT


@pytest.mark.parametrize(("wrong", "expected"), [(0, HOLDS), (1, FAILS)])
def test_parameter_counts_must_be_equal_to_the_last_one(wrong, expected):
    smallest, biggest, fewer = claims.parameter_rows(COUNTS | {1: COUNTS[1] + wrong})
    assert smallest["verdict"] == expected and biggest["verdict"] == fewer["verdict"] == HOLDS
    *_, fewer = claims.parameter_rows(COUNTS | {4: paper.BASELINE_PARAMETERS})
    assert fewer["verdict"] == FAILS


@pytest.fixture
def latent(tmp_path):
    """A function that writes an experiment of some seeds with some latent columns replaced and returns its result;
    `columns` may be a list, of each seed its own."""

    def make(variant, columns=None, seeds=3, **changes):
        path = tmp_path / f"{variant}.h5"
        each = columns if isinstance(columns, list) else seeds * [columns or {}]
        standing = walks(hands(2)[:, None].repeat(9, 1)) if variant == "cross" else {}
        first, *others = (latent_of(variant) | standing | of_seed for of_seed in each)
        write_latent(path, first, further_seeds=others)
        metrics = numbers(25.0) | ({"seeds": len(each)} if len(each) > 1 else {})
        return result(str(variant), "rgb", variant, predictions=path, metrics=metrics, **changes)

    return make


def encodings(*places):
    """The latent columns of three encoders that see the same 60 samples from different places."""
    cloud = np.random.default_rng(0).normal(size=(60, 30))
    names = ("rgb", "joints_2d", "joints_3d")
    return {f"mu_{name}": cloud + place for name, place in zip(names, places, strict=True)} | {
        f"log_var_{name}": np.full(cloud.shape, -9.0) for name in names
    }


def test_one_space_is_mixed_and_three_spaces_are_not(latent):
    together, apart = encodings(0.0, 0.01, -0.01), encodings(0.0, 50.0, -50.0)
    rows = only(latent_claims.mixing_rows, [latent("cross", together), latent("separate", apart)])
    assert [row["verdict"] for row in rows] == 6 * [HOLDS]
    assert rows[3]["value"] == 0 and rows[5]["value"] == pytest.approx(100)  # own pose nearest; apart altogether
    assert (rows[5]["claim"], rows[5]["place"]) == ("training separately does not", "Figure 8b, section 7.2")
    rows = only(latent_claims.mixing_rows, [latent("cross", apart), latent("separate", together)])
    assert [row["verdict"] for row in rows] == 6 * [FAILS]


def test_encodings_of_unrelated_samples_are_not_close(latent):
    columns = encodings(0.0, 0.0, 0.0)
    columns["mu_rgb"] = columns["mu_rgb"][::-1]
    rgb, flat = only(latent_claims.mixing_rows, [latent("cross", columns)])[3:5]
    assert rgb["value"] == pytest.approx(50, abs=8) and rgb["verdict"] == FAILS
    assert flat["verdict"] == HOLDS


def turned(joints_mm, angles):
    """A hand (J, 3) turned about z by each of some angles (T,)."""
    cos, sin = np.cos(angles), np.sin(angles)
    x, y, z = joints_mm.T
    return np.stack(
        [cos[:, None] * x - sin[:, None] * y, sin[:, None] * x + cos[:, None] * y, z + 0 * cos[:, None]], -1
    )


def walks(joints_mm, uv_px=None, projected_px=None):
    uv_px = joints_mm[..., :2] if uv_px is None else uv_px
    projected_px = uv_px if projected_px is None else projected_px
    arrays = {"joints_mm": joints_mm, "uv_px": uv_px, "projected_px": projected_px}
    return {f"random_walk_{name}": values for name, values in arrays.items()}


def hands(count=10):
    return np.random.default_rng(3).normal(size=(count, 21, 3)) * 40


def test_hands_that_turn_steadily_walk_smoothly_and_keep_their_bones(latent):
    steady = np.stack([turned(hand, np.linspace(0, 2.5, 9)) for hand in hands()])
    smooth, agree, bones, against_straight = only(latent_claims.walk_rows, [latent("cross", walks(steady))])
    assert [row["verdict"] for row in (smooth, agree, bones, against_straight)] == 4 * [HOLDS]
    assert smooth["value"] == pytest.approx(1) and bones["value"] == pytest.approx(0, abs=1e-9)
    assert against_straight["high"] < -20  # the straight line between two turned hands goes through a small one
    assert "10 walks of 9 steps" in smooth["data"]


def test_a_walk_that_jumps_is_not_smooth_and_a_straight_one_is_no_better_than_itself(latent):
    share = np.linspace(0, 1, 9)[:, None, None]
    ends = hands(20).reshape(10, 2, 1, 21, 3)
    straight = ends[:, 0] + share * (ends[:, 1] - ends[:, 0])
    jumping = ends[:, 0] + (share > 0.5) * (ends[:, 1] - ends[:, 0])
    rows = only(latent_claims.walk_rows, [latent("cross", walks(straight))])
    assert rows[0]["value"] == pytest.approx(1) and rows[3]["value"] == pytest.approx(0)
    assert rows[3]["verdict"].startswith(OPEN)
    rows = only(latent_claims.walk_rows, [latent("cross", walks(jumping))])
    assert rows[0]["value"] == pytest.approx(8) and rows[0]["verdict"] == FAILS


def test_agreement_is_relative_to_the_hands_size_in_the_picture(latent):
    joints_mm = np.stack([turned(hand, np.linspace(0, 1, 9)) for hand in hands()])
    uv_px = joints_mm[..., :2] / 4
    size_px = np.ptp(uv_px, axis=2).max(axis=2).mean()
    for share, expected in ((0.05, HOLDS), (0.2, FAILS)):
        off = walks(joints_mm, uv_px, uv_px + [0, share * size_px])
        row = only(latent_claims.walk_rows, [latent("cross", off)])[1]
        assert row["value"] == pytest.approx(100 * share, rel=1e-6) and row["verdict"] == expected
        assert row["data"].endswith(f"{share * size_px:.2f} px of {size_px:.1f} px")


def test_bone_deviations_by_hand():
    walk_mm = np.zeros((1, 3, 2, 3))
    walk_mm[0, :, 1, 0] = [10, 18, 20]  # linear would be 15
    assert latent_claims.bone_deviations(walk_mm, ((0, 1),)) == pytest.approx([3 / 15])


def test_samples_are_measured_against_the_error_and_the_mean_pose(latent):
    spread_mm = np.full((16, 21), 0.7)
    best = latent(1, {"posterior_spread_mm": spread_mm})
    against_error, against_pose = only(latent_claims.samples_rows, [best])
    assert against_error["value"] == pytest.approx(10) and against_error["verdict"] == HOLDS  # of 7 mm
    with h5py.File(best.predictions) as file:
        off_mm = np.linalg.norm(file["mean_pose_mm"][:] - file["joints_true_mm"][:], axis=2)
        visible = file["visible"][:]
    mean_mm = np.mean([off_mm[visible[:, joint], joint].mean() for joint in range(21)])
    assert against_pose["value"] == pytest.approx(100 * 0.7 / mean_mm) and against_pose["verdict"] == HOLDS
    wide = latent(2, {"posterior_spread_mm": 10 * spread_mm})
    assert [row["verdict"] for row in only(latent_claims.samples_rows, [wide])] == [FAILS, FAILS]


def test_a_grid_without_experiments_names_what_each_claim_needs():
    table = claims.claims_table([], COUNTS)
    absent = table[table["verdict"] == ABSENT]
    assert len(absent) == len(table) - 3 and absent["data"].str.startswith("needs ").all()
    assert absent[["value", "low", "high"]].isna().all(axis=None)
    assert table["place"].nunique() > 8 and table["claim"].nunique() == len(WORDS["claims"])
    assert "by 11.8 %" in table["claim"][0] and "up to 22 %" in str(set(table["claim"]))
    assert claims.claims_markdown(table).count(ABSENT) == len(absent)


def test_the_table_and_its_page_hold_every_row_with_its_data(model, latent):
    errors_mm = hard_frames()
    lifting = [("all", errors_mm, "T+S+H"), ("ts", errors_mm + 0.5, "T+S")]
    results = [model(name, mm, "joints_2d", 3, invariances=invariances) for name, mm, invariances in lifting]
    results.append(latent("separate"))
    table = claims.claims_table(results, COUNTS)
    columns = ["claim", "place", "statistic", "value", "low", "high", "seeds", "criterion", "verdict", "data"]
    assert list(table) == columns and not table[columns[:2] + columns[8:]].eq("").any(axis=None)
    page = claims.claims_markdown(table)
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(lines) == len(table) + 2
    (line,) = [line for line in lines if "with T+S minus" in line]
    assert "| 0.5 [0.5, 0.5] | 3 | above 0 mm | holds | (1) |" in line
    assert "- (1) synthetic hands" in page or "- (1) RHD: synthetic hands" in page
    assert table.equals(claims.claims_table(results, COUNTS))
