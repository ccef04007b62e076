"""The lines that the page opens with: numbers, words for what did not learn, and counted verdicts."""

import pandas as pd

from handvae.report import beyond, summary, tables
from handvae.report.claims import ABSENT
from handvae.report.text import WORDS
from tests.fabricated import numbers, published, result, seeds
from tests.test_tables import icvl, msra_fold

MIXES, LITTLE = (WORDS["claims"][name]["text"] for name in ("mixes", "few_labels"))


def claimed(*rows):
    names = ("claim", "statistic", "value", "seeds", "verdict")
    return pd.DataFrame([dict(zip(names, row, strict=True)) for row in rows], columns=names)


NONE = claimed((LITTLE, "", float("nan"), None, ABSENT))


NOTHING = pd.DataFrame(columns=beyond.COLUMNS)


def answered(results, claims=NONE, ours=NOTHING):
    return dict(summary.answer(results, tables.depth_table(results), ours, claims, "Profile small."))


def test_the_lowest_error_of_each_task_stands_beside_the_mean_pose_and_the_papers_lowest(tmp_path):
    models = [
        result("a", epe_mean_mm=25.0),
        result("b", variant=2, epe_mean_mm=24.0, metrics=numbers(24.0) | seeds()),
        result("stb", dataset="stb", epe_mean_mm=12.0),
        result("2d", "joints_2d", 3, 17.0),
        icvl(tmp_path / "icvl.h5", [10, 12], sequences=[1, 2]),
        *(msra_fold(tmp_path, number, [20]) for number in (0, 1)),
    ]
    said = answered(models)
    assert said["What ran"] == "7 rows of the paper's grid, 9 models. Profile small."
    assert said["RGB image -> 3D"] == (
        "RHD, variant 2: mean error 24.0 mm, the mean pose 41.2 mm (the paper: 19.7 mm, variant 1). "
        "STB, variant 1: mean error 12.0 mm, the mean pose 41.2 mm (the paper: 8.6 mm, variant 3)."
    )
    assert said["2D joints -> 3D"] == (
        "RHD, variant 3: mean error 17.0 mm, the mean pose 41.2 mm (the paper: 17.1 mm, variant 3)."
    )
    assert said["Depth image -> 3D"] == (
        "ICVL, ResNet-18: mean error 11.0 mm, the mean pose 40.0 mm (the paper: 8.5 mm, of a set it does not name). "
        "MSRA15, 2 folds, ResNet-18: mean error 20.0 mm, the mean pose 40.0 mm."
    )
    assert "Synthetic hands in the formats of RHD, STB, ICVL and MSRA." in said["Data"]
    assert said["In short"].startswith(
        "Yes, every row of the grid learned. Errors in % of the mean pose's: 2D->3D 41 to"
    )
    assert said["In short"].endswith(" Whether the paper's numbers are right cannot be tested on these images.")


def test_models_that_have_learned_little_or_nothing_are_named_and_not_counted():
    models = [result(name, epe_mean_mm=mm) for name, mm in (("good", 20.0), ("weak", 30.0), ("flat", 41.0))]
    said = answered(models)["In short"]
    assert said.startswith("Yes, 1 of 3 rows learned. Errors in % of the mean pose's: RGB->3D 48 to 48 % (weak from 67")
    for words, share in (("Weak: RGB->3D RHD, variant 1 has learned little", 73), ("Collapsed: RGB->3D RHD", 99)):
        assert words in said and f"Its error is {share} % of the mean pose's." in said
    assert answered(models[2:])["In short"].startswith("No: no row of the grid learned.")
    ours = result("ours", variant=5, epe_mean_mm=20.0)  # without a row of the paper's the others are judged
    assert answered([ours])["In short"].startswith("Yes, every row of the grid learned.")


def test_variant_5_has_a_line_of_its_own_and_is_no_row_of_the_papers_grid():
    rows = [("RGB->3D RHD", 2, 100, 1, 23.2, float("nan")), ("RGB->3D RHD", 5, 100, 1, 17.0, 26.7)]
    rows += [("RGB->3D RHD", 5, 100, 3, 16.2, 30.2), ("RGB->3D STB", 5, 100, 1, 13.0, -4.0)]
    rows += [("RGB->3D STB", 5, 5, 1, 20.0, 9.0), ("depth->3D ICVL", 5, 100, 1, 15.0, float("nan"))]
    names = ["task", "variant", "label_percent", "turned_crops", "epe_mean_mm", "lower_percent"]
    ours = pd.DataFrame(rows, columns=names)
    said = answered([result("a"), result("ours", variant=5, epe_mean_mm=40.0), result("z", variant="zb17")], ours=ours)
    assert said["What ran"] == "1 row of the paper's grid and 2 beyond it, 3 models. Profile small."
    assert said["Beyond the paper"] == (
        "Variant 5 against the best of variants 1 to 4. RGB->3D RHD: 17.0 mm, 27 % lower (16.2 mm over 3 turned "
        "crops). RGB->3D STB: 13.0 mm, 4 % higher."
    )
    assert "Beyond the paper" not in answered([result("a")]) and "variant 5" not in said["In short"]


def test_data_that_can_be_compared_with_the_papers_is_told_from_data_that_cannot():
    said = answered([published("a"), result("b", dataset="stb"), result("c", dataset="icvl", synthetic=False)])["Data"]
    assert said.startswith("The published test images of RHD. On these our numbers can be compared")
    assert "Synthetic hands in the formats of STB." in said and "for ICVL are not the published ones." in said


def test_claims_are_counted_by_measurement_and_those_decided_are_named():
    rows = [(MIXES, "posterior means: purity (%)", 31.0, 1, "cannot be told (1 seed; at least 3 are needed)")]
    rows += [("Labels help", f"STB, {share} %: lower", 1.0, 3, "does not hold") for share in (5, 10)]
    rows += [("Every model is small", "the biggest (parameters)", 1.0, None, "holds")]
    rows += [("Walks are smooth", "", float("nan"), None, ABSENT)]
    said = answered([result("a")], claimed(*rows))
    assert said["Claims"] == (
        "Of 4 measurements of 3 claims 1 hold, 2 do not hold, 1 cannot be told. These have one training seed; a "
        "verdict needs 3. Holds: every model is small. Does not hold: labels help (STB, 5 %, STB, 10 %)."
    )
    assert said["Latent space"].startswith("10-NN purity of the modalities: 31 when trained across modalities (0: RGB")


def test_the_picture_is_of_the_colour_model_that_is_best_by_its_mean_pose():
    rhd, stb = result("rhd", epe_mean_mm=20.0), result("stb", dataset="stb", epe_mean_mm=15.0)
    assert summary.picture_of([rhd, stb]) == "fig10a" and summary.picture_of([rhd]) == "fig10b"
    assert summary.picture_of([result("2d", "joints_2d")]) == ""
