"""All tables from results: which there are, what their page says and never leaves out."""

from dataclasses import replace

import pytest

from handvae.report import parameters, tables_page
from handvae.report.notes import LeftOut, reasons
from handvae.report.text import csv_table
from tests.test_comparison import hard_frames, write
from tests.test_tables import result

COUNTS = {1: 12_398_387, 2: 13_512_679, 3: 13_233_054, 4: 14_347_346}
LAYERS = parameters.layer_table({"RGB encoder": {"conv1.weight": (64, 3, 7, 7)}})


@pytest.fixture
def grid(tmp_path):
    errors_mm = hard_frames()
    return [
        result(
            f"rhd-{short}-v{variant}",
            name,
            variant,
            20 + variant,
            predictions=write(tmp_path / f"{short}-{variant}.h5", errors_mm + variant),
        )
        for short, name in (("rgb", "rgb"), ("2d", "joints_2d"))
        for variant in (4, 3, 2, 1)
    ]


def page_of(results):
    return tables_page.markdown_page(results, tables_page.tables_of(results, COUNTS, LAYERS))


def test_every_table_is_data_and_all_but_one_are_text_for_a_paper(grid):
    made = tables_page.tables_of(grid, COUNTS, LAYERS)
    names = ["table1", "table2", "table5", "table6", "depth", "semi_supervised", "parameters", "paired"]
    assert list(made) == names
    texts = tables_page.texts_of(made)
    assert sorted(texts) == sorted([*(f"{name}.csv" for name in names), *(f"{name}.tex" for name in names[:-1])])
    for table in made.values():
        header, rows = table.text
        assert all(len(row) == len(header) for row in rows)
    assert len(made["paired"].frame) == 2 * 6


def test_a_table_without_rows_keeps_its_header_and_says_so():
    made = tables_page.tables_of([], COUNTS, LAYERS)
    for name in ("table1", "table2", "table5", "table6", "depth", "semi_supervised", "paired"):
        lines = csv_table(made[name].frame).splitlines()
        assert len(lines) == 1 and "verdict" in lines[0].split(",")
    page = page_of([])
    assert page.count("No such experiment.") == 3 and "- none: no such experiment" in page
    assert page.count("| –<br>paper ") == 4 * 4 * 4


def test_no_synthetic_number_stands_beside_the_papers_without_the_word(grid):
    page = page_of(grid)
    cells = [cell for line in page.splitlines() for cell in line.split("|") if "paper " in cell and "[" in cell]
    ours = [cell for cell in cells if "(ours " in cell]
    assert len(ours) == 2 * (8 + 4 + 2 + 1) and all("not comparable (synthetic)" in cell for cell in ours)
    for heading in ("**RGB->3D RHD, synthetic, 40 blocks", "**2D->3D RHD, synthetic, 40 blocks"):
        assert heading in page


def test_on_the_published_set_no_word_says_synthetic(grid):
    page = page_of([replace(one, source="RHD", synthetic=False, published=True) for one in grid])
    assert "synthetic" not in page
    assert "22.00 [21.50, 22.50]<br>paper 19.99 (ours +2.01)<br>outside" in page


def test_the_page_states_data_profile_and_frames_once(grid):
    page = page_of(grid)
    assert page.count("synthetic hands, 2,000 training images; profile small; 2,728 test frames") == 1
    mixed = page_of([*grid[:4], *(replace(one, source="RHD") for one in grid[4:])])
    assert "- RHD; profile small" in mixed and "- RHD: synthetic hands" in mixed


def test_the_page_reads_like_the_papers_tables(grid):
    lines = page_of(grid).splitlines()
    row = [
        "Var. 3",
        "23.00 [22.50, 23.50]<br>paper 17.14 (ours +5.86)<br>not comparable (synthetic)",
        "25.00 [24.50, 25.50]<br>paper 17.14 (ours +7.86)<br>not comparable (synthetic)",
        "23.00 [22.50, 23.50]<br>paper 20.04 (ours +2.96)<br>not comparable (synthetic)",
        "–<br>paper 8.56",
    ]
    assert f"| {' | '.join(row)} |" in lines
    assert "| Mean pose of the training set | 41.25 synthetic |  | 41.25 synthetic | – |" in lines
    assert any(line.startswith("Blocks of test frames: 2D->3D RHD 2,728, RGB->3D RHD 2,728.") for line in lines)
    assert "| variant 4 | 14,347,346 | 14,347,346 | equal |" in lines
    assert "| variant 2 | 13,512,679 | – | not printed |" in lines
    assert "| [38] | 21,394,529 | 21,394,529 | equal |" in lines
    headings = [line[3:].split(":")[0] for line in lines if line.startswith("## ")]
    assert headings == [
        *("Table 1", "Table 2", "Table 5", "Table 6", "Depth (section 7.3)"),
        *("Semi-supervised (section 4.6, Figure 3)", "Parameters (section 7.3)", "Paired comparison of models"),
    ]


ROWS = [
    *(LeftOut(f"stb-{name}", "stb", "no results") for name in "ab"),
    LeftOut("_<b>_", "icvl", "results of profile '*x*' where params.yaml has 'small'"),
    LeftOut("stb-c", "stb", "no results"),
]


def test_rows_that_are_left_out_are_counted_and_named_by_set_and_reason(grid):
    texts = ["STB, no results: stb-a, stb-b, stb-c"]
    texts.append("ICVL, results of profile '*x*' where params.yaml has 'small': _<b>_")
    assert reasons(ROWS) == texts
    page = tables_page.markdown_page(grid, {}, ROWS, "A note.")
    assert page.splitlines()[2:8] == [
        "**4 of the grid's 12 rows are left out, with all that is made from them.** "
        "`python -m stages.grid <row>` makes the results of one.",
        *("", f"- {texts[0]}", "- " + texts[1].replace("*", "&#42;").replace("_", "&#95;").replace("<", "&#60;")),
        *("", "A note."),
    ]
    assert "left out" not in tables_page.markdown_page(grid, {})
