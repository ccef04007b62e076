import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from handvae import paper, table_text, tables
from handvae.errors import InputError

COUNTS = {1: 12_398_387, 2: 13_512_679, 3: 13_233_054, 4: 14_347_346}


def numbers(epe_mean_mm):
    both = {"epe_mean_mm": epe_mean_mm, "epe_median_mm": epe_mean_mm - 3}
    intervals = {
        f"{name}{end}": value + shift for name, value in both.items() for end, shift in (("_low", -0.5), ("_high", 0.5))
    }
    return {
        **both,
        **intervals,
        "auc_20_50": 0.5,
        "auc_21_50": 0.5,
        "auc_0_50": 0.3,
        "mean_pose_epe_mm": 41.25,
        "frames": 2728,
    }


def result(experiment, input="rgb", variant=1, epe_mean_mm=25.0, **changes):
    plain = tables.Result(
        *(experiment, "rhd", input, variant, "T+S+H", "resnet18", ""),
        *("small", "synthetic hands, 2,000 training images"),
        *(True, False, numbers(epe_mean_mm), Path("none.h5")),
    )
    return replace(plain, **changes)


GRID = [
    result(f"rhd-{short}-v{variant}", name, variant, 20 + variant)
    for short, name in (("rgb", "rgb"), ("2d", "joints_2d"))
    for variant in (4, 3, 2, 1)
]


def page_of(results, depth=None):
    return tables.markdown_page(results, pd.DataFrame() if depth is None else depth, COUNTS)


def test_rows_come_in_the_papers_order_with_the_papers_numbers():
    table = tables.joint_table(GRID, paper.TABLE1)
    assert table["experiment"].tolist() == [f"rhd-{task}-v{v}" for task in ("2d", "rgb") for v in (1, 2, 3, 4)]
    assert table["paper_epe_mean_mm"].tolist() == [17.23, 17.82, 17.14, 17.63, 19.73, 19.99, 20.04, 20.35]
    assert table["epe_mean_mm"].tolist() == [21, 22, 23, 24] * 2
    assert set(table["mean_pose_epe_mm"]) == {41.25}
    medians = tables.joint_table(GRID, paper.TABLE5)
    assert medians["paper_epe_median_mm"].tolist() == [14.68, 15.13, 14.46, 14.83, 16.74, 16.97, 16.96, 17.30]
    assert medians["epe_median_mm"].tolist() == [18, 19, 20, 21] * 2


def test_no_synthetic_number_stands_beside_the_papers_without_the_word():
    table = tables.joint_table(GRID, paper.TABLE1)
    assert table["verdict"].tolist() == ["not comparable (synthetic)"] * 8
    page = page_of(GRID)
    cells = [cell for line in page.splitlines() for cell in line.split("|") if "(paper" in cell]
    ours = [cell for cell in cells if "–" not in cell]
    assert len(cells) == 48 and len(ours) == 2 * (8 + 2) and all("synthetic" in cell for cell in ours)


def test_other_real_data_is_not_compared_either():
    photos = result("rhd-rgb-v1", source="real photographs", synthetic=False)
    assert tables.joint_table([photos], paper.TABLE1)["verdict"].tolist() == ["not comparable (other data)"]
    page = page_of([photos])
    assert "25.00 [24.50, 25.50] other data (paper 19.73)" in page and "synthetic" not in page


@pytest.mark.parametrize(
    ("epe_mean_mm", "expected"),
    [
        (19.73, "inside interval"),
        (20.23, "inside interval"),
        (20.24, "within 5 %"),
        (19.23, "inside interval"),
        (19.22, "within 5 %"),
        (20.72, "outside"),
        (18.74, "outside"),
    ],
)
def test_on_the_published_set_the_verdict_is_whether_the_papers_number_is_in_our_interval(epe_mean_mm, expected):
    published = result("rhd-rgb-v1", epe_mean_mm=epe_mean_mm, source="RHD", synthetic=False, published=True)
    assert tables.joint_table([published], paper.TABLE1)["verdict"].tolist() == [expected]
    assert f"{expected} (paper 19.73)" in page_of([published])


def test_other_invariances_and_other_datasets_fill_no_cell():
    others = [result("no-side", variant=2, invariances="T+S"), result("own", dataset="icvl")]
    assert all(len(tables.joint_table(others, table)) == 0 for table in (paper.TABLE1, paper.TABLE2))
    page = page_of(others)
    assert page.count("– (paper") == 48 and "25.00" not in page


def test_fewer_invariances_are_those_of_the_papers_best_variant():
    fewer = [result("a", variant=1, invariances="T"), result("b", "joints_2d", 3, 30, invariances="T+S")]
    fewer += [result("c", variant=3, dataset="stb", invariances="T+H"), result("d", variant=3, invariances="T")]
    table = tables.joint_table(fewer, paper.TABLE2)
    assert table["experiment"].tolist() == ["b", "a", "c"]
    assert table["paper_epe_mean_mm"].tolist() == [18.90, 22.53, 9.59]
    assert table["difference_mm"].tolist() == [11.1, 2.47, 15.41]
    header, rows = tables.matrix(fewer, paper.TABLE6)
    assert header == ["", "2D->3D RHD", "RGB->3D RHD", "RGB->3D STB"]
    assert rows[0] == ["[38], T+S+H", "paper 18.84", "paper 24.49", "paper 7.52"] and rows[2][0] == "ours, T+S"


def test_a_latex_table_escapes_what_latex_would_misread():
    text = table_text.latex_table(["", "2D->3D"], [["a_b", "5 % & more"]], "10 %")
    assert r"2D$\rightarrow$3D" in text and r"a\_b & 5 \% \& more \\" in text and r"\caption{10 \%}" in text


def test_the_page_states_data_profile_and_frames_once():
    page = page_of(GRID)
    assert page.count("synthetic hands, 2,000 training images; profile small; 2,728 test frames") == 1
    mixed = page_of([*GRID[:4], *(replace(one, source="RHD") for one in GRID[4:])])
    assert "- RHD; profile small" in mixed and "- RHD: synthetic hands" in mixed


def test_the_page_reads_like_the_papers_tables():
    lines = page_of(GRID).splitlines()
    assert (
        "| Var. 3 | 23.00 [22.50, 23.50] synthetic (paper 17.14) | 23.00 [22.50, 23.50] synthetic (paper 20.04) "
        "| – (paper 8.56) |" in lines
    )
    assert "| Mean pose of the training set | 41.25 synthetic | 41.25 synthetic | – |" in lines
    assert "| Var. 4 | 14,347,346 | 14,347,346 |" in lines and "| Var. 2 | 13,512,679 | – |" in lines


def test_parameter_counts_are_compared_where_the_paper_prints_one():
    table = tables.parameter_table({**COUNTS, 4: 14_347_347})
    assert table["verdict"].tolist() == ["equal", "not printed", "not printed", "differs"]
    assert table.to_csv(index=False).splitlines()[1:3] == ["1,12398387,12398387,equal", "2,13512679,,not printed"]


def test_best_is_the_lowest_mean_of_its_task_only():
    results = [result("a", epe_mean_mm=30), result("b", epe_mean_mm=20), result("c", "joints_2d", epe_mean_mm=10)]
    assert tables.best(results, ("rhd", "rgb")).experiment == "b"
    assert tables.best(results, ("stb", "rgb")) is None


def test_the_papers_tables_agree_with_each_other():
    """Tables 2 and 6 repeat the best variant of each column of Tables 1 and 5."""
    for variants, invariances in ((paper.TABLE1, paper.TABLE2), (paper.TABLE5, paper.TABLE6)):
        for task, best in zip(paper.TASKS, (3, 1, 3), strict=True):
            assert variants.cell_mm(best, task) == invariances.cell_mm("T+S+H", task)
            assert variants.cell_mm(best, task) == min(variants.cell_mm(variant, task) for variant in (1, 2, 3, 4))


EXPECTED = {
    "experiment": "x",
    "dataset": "rhd",
    "input": "rgb",
    "variant": 2,
    "encoder": "resnet18",
    "test_subject": "",
    "invariances": "T+S+H",
    "profile": "small",
}


def write_result(folder, changes=None, without=(), metric_changes=None, without_metric=()):
    attributes = {**EXPECTED, "source": "synthetic hands", "synthetic": True, "published": False, **(changes or {})}
    with h5py.File(folder / "x.h5", "w") as file:
        file["row"] = np.arange(2728)
        file.attrs.update({key: value for key, value in attributes.items() if key not in without})
    metrics = {**numbers(25.0), **(metric_changes or {})}
    (folder / "x.json").write_text(json.dumps({k: v for k, v in metrics.items() if k not in without_metric}))
    return folder / "x.h5", folder / "x.json"


def test_a_result_is_read_from_its_two_files(tmp_path):
    read = tables.read_result(*write_result(tmp_path), EXPECTED)
    assert read == result("x", variant=2, source="synthetic hands", predictions=tmp_path / "x.h5")
    assert read.kind == "synthetic" and read.data == "RHD: synthetic hands; profile small; 2,728 test frames"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"changes": {"variant": 3}}, r"x\.h5: expected variant 2 as in params.yaml, found 3$"),
        ({"changes": {"profile": "tiny"}}, r"x\.h5: expected profile 'small'.*found 'tiny'"),
        ({"without": ["synthetic"]}, r"x\.h5: expected the attribute synthetic, found dataset, encoder, experiment"),
        ({"metric_changes": {"frames": 300}}, r"x\.json: expected the 2728 frames of .*x\.h5, found 300"),
        ({"without_metric": ["epe_median_mm_low"]}, r"x\.json: expected the key epe_median_mm_low"),
    ],
)
def test_files_that_do_not_fit_each_other_or_the_params_are_refused_by_name(tmp_path, wrong, message):
    with pytest.raises(InputError, match=message):
        tables.read_result(*write_result(tmp_path, **wrong), EXPECTED)


@pytest.mark.parametrize("name", ["x.h5", "x.json"])
@pytest.mark.parametrize("content", [None, b"", b"not what it says"])
def test_a_missing_or_broken_file_is_refused_by_name(tmp_path, name, content):
    paths = write_result(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"^{tmp_path / name}: expected"):
        tables.read_result(*paths, EXPECTED)
