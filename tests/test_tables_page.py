"""All tables from results: which there are, what their page says and never leaves out."""

from dataclasses import replace

import pytest

from handvae.report import parameters, tables_page
from handvae.report.results import LeftOut
from handvae.report.text import csv_table
from tests.fabricated import hard_frames, result, write_errors

COUNTS = {1: 12_398_387, 2: 13_512_679, 3: 13_233_054, 4: 14_347_346}
LAYERS = parameters.layer_table(
    {"RGB encoder": {"conv1.weight": (64, 3, 7, 7)}, "[38] PoseNet": {"a.weight": (21_394_529,)}}
)
NAMES = ["table1", "table2", "table5", "table6", "depth", "semi_supervised", "parameters", "beyond", "paired"]


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    path = write_errors(tmp_path_factory.mktemp("grid") / "predictions.h5", hard_frames())
    return [
        result(f"rhd-{input_}-v{variant}", input_, variant, 20 + variant, predictions=path)
        for input_ in ("rgb", "joints_2d")
        for variant in (4, 3, 2, 1)
    ]


def page_of(results):
    return tables_page.markdown_page(results, tables_page.tables_of(results, COUNTS, LAYERS))


@pytest.fixture(scope="module")
def page(grid):
    return page_of(grid)


def test_every_table_is_data_and_all_but_one_are_text_for_a_paper(grid):
    made = tables_page.tables_of(grid, COUNTS, LAYERS)
    assert list(made) == NAMES and len(made["paired"].frame) == 2 * 6
    texts = {*(f"{name}.csv" for name in NAMES), *(f"{name}.tex" for name in NAMES[:-1]), "paired.md"}
    assert set(tables_page.texts_of(made)) == texts
    for table in made.values():
        header, rows = table.cells
        assert all(len(row) == len(header) for row in rows)


def test_a_table_without_rows_keeps_its_header_and_says_so():
    made = tables_page.tables_of([], COUNTS, LAYERS)
    for name in {*NAMES} - {"parameters"}:
        (header,) = csv_table(made[name].frame).splitlines()
        assert {"verdict", "lower_percent"} & {*header.split(",")}
    page = page_of([])
    assert page.count("No such experiment.") == 3 and "- none: no such experiment" in page
    assert page.count("| –<br>paper ") == 4 * (4 * 4) + 2 * 4  # four tables of four rows, and [38] in two


def test_no_synthetic_number_stands_beside_the_papers_without_the_word(grid, page):
    headers = [line for line in page.splitlines() if "2D->3D RHD" in line and line.startswith("| ")]
    assert headers == 4 * [
        "|  | 2D->3D RHD, synthetic | 2D->3D RHD, all joints, synthetic | RGB->3D RHD, synthetic | RGB->3D STB |"
    ]
    assert "(ours " not in page and "not comparable" not in page  # said once, above the tables
    pairs = tables_page.texts_of(tables_page.tables_of(grid, COUNTS, LAYERS))["paired.md"]
    for heading in ("**RGB->3D RHD, synthetic, 40 blocks", "**2D->3D RHD, synthetic, 40 blocks"):
        assert heading in pairs
    assert page.count("synthetic hands, 2,000 training images; profile small; 2,728 test frames") == 1


def test_on_the_published_set_no_word_says_synthetic(grid):
    page = page_of([replace(model, source="RHD", synthetic=False, published=True) for model in grid])
    assert "synthetic" not in page and "- RHD; profile small" in page
    assert "22.00 [21.50, 22.50]<br>paper 19.99 (ours +2.01)<br>outside" in page


def test_the_page_reads_like_the_papers_tables(page):
    lines = page.splitlines()
    lifting, all_joints, rgb = (
        f"{ours}.00 [{ours - 1}.50, {ours}.50]<br>paper {printed}"
        for ours, printed in ((23, 17.14), (25, 17.14), (23, 20.04))
    )
    assert f"| Var. 3 | {lifting} | {all_joints} | {rgb} | –<br>paper 8.56 |" in lines
    assert "| Mean pose of the training set | 41.25 |  | 41.25 | – |" in lines
    assert any("Blocks of test frames: 2D->3D RHD 2,728, RGB->3D RHD 2,728." in line for line in lines)
    assert "| variant 4 | 14,347,346 | 14,347,346 | equal |" in lines
    assert "| variant 2 | 13,512,679 | – | not printed |" in lines
    assert "| [38] | 21,394,529 | 21,394,529 | equal |" in lines
    assert sum(line.startswith("## ") for line in lines) == len(NAMES) - 1  # the pairs have a file of their own


def test_rows_that_are_left_out_are_counted_and_named_by_set_and_reason(grid, page):
    rows = [LeftOut(f"stb-{name}", "stb", "no results") for name in "abc"]
    rows.insert(2, LeftOut("_<b>_", "icvl", "results of profile '*x*' where params.yaml has 'small'"))
    lines = tables_page.markdown_page(grid, {}, rows, "A note.").splitlines()
    assert lines[2] == (
        "**4 of the grid's 12 rows are left out, with all that is made from them.** "
        "`python -m stages.grid <row>` makes the results of one."
    )
    icvl = "- ICVL, results of profile '&#42;x&#42;' where params.yaml has 'small': &#95;&#60;b>&#95;"
    assert lines[4:8] == ["- STB, no results: stb-a, stb-b, stb-c", icvl, "", "A note."]
    assert "left out" not in page
