import io

import bs4
import numpy as np
import pandas as pd
import pytest
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from handvae.report import text as report_text


def test_csv_has_the_digits_of_its_units_and_nothing_for_what_is_missing():
    frame = pd.DataFrame(
        {
            "name": ["a, b", "c"],
            "epe_mean_mm": [12.3456, np.nan],
            "improvement_percent": [7.0, -0.004],
            "pcf_20": [0.00512, 1.0],
            "p": [0.0001, 0.25],
            "frames": [300, 200],
            "seeds": pd.array([3, None], dtype="Int64"),
        }
    )
    lines = report_text.csv_table(frame).splitlines()
    assert lines[1:] == ['"a, b",12.35,7.00,0.0051,0.0001,300,3', "c,,-0.00,1.0000,0.2500,200,"]
    assert pd.read_csv(io.StringIO(report_text.csv_table(frame.head(0)))).columns.tolist() == list(frame.columns)


ROW = {"epe_mm": 25.0, "epe_mm_low": 24.5, "epe_mm_high": 25.5, "paper_epe_mm": 8.5, "verdict": "outside"}
ROW |= {"kind": "published", "seeds": 3, "epe_mm_sd": 1.246}
INTERVAL, SPREAD, PAPER = "25.00 [24.50, 25.50]", "sd 1.25 over 3 seeds", "paper 8.5 (ours +16.50)"


@pytest.mark.parametrize(
    "changes, lines",
    [
        ({}, [INTERVAL, SPREAD, PAPER, "outside"]),
        ({"seeds": 1, "epe_mm_sd": np.nan}, [INTERVAL, "1 seed", PAPER, "outside"]),
        ({"epe_mm_sd": None, "paper_epe_mm": 26.0}, [INTERVAL, "paper 26.0 (ours −1.00)", "outside"]),
        ({"paper_epe_mm": np.nan}, [INTERVAL, SPREAD]),
        ({"kind": "synthetic"}, [INTERVAL, SPREAD, PAPER.split(" (")[0]]),
        ({"epe_mm_low": np.nan}, ["25.00 [1 block of frames: no interval]", SPREAD, PAPER, "outside"]),
    ],
)
def test_a_cell_has_a_line_for_each_thing_that_it_says(changes, lines):
    assert report_text.cell(ROW | changes, "epe_mm", digits=1).split("\n") == lines


HOSTILE = [
    *("a <b>x</b> <!--", "x & y &lt; &#60;", r"p|q \| z", "*e* **b** __u__ _i_ a_b", "50 % `c` ``d``"),
    *(r"$m$ $$n$$ \[x\] \(y\) \begin{a}z\end{a}", "[l](u) ![i](j) <http://x> http://y", "~~s~~ ^2^ # h {{x}} ${z}"),
    *("end\\", "new\nline\rand\u2028more"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_any_text_as_it_is(text):
    plain, lines = " ".join(text.splitlines()), text.splitlines()
    written = report_text.markdown_table(["", text], [[text, "x"], ["y", text]])
    table = bs4.BeautifulSoup(markdown2html_mistune(written), "html.parser")
    cells = [[cell.get_text("\n") for cell in row.find_all(("td", "th"))] for row in table.find_all("tr")]
    assert cells == [["", "\n".join(lines)], ["\n".join(lines), "x"], ["y", "\n".join(lines)]]
    written = f"- {report_text.markdown_text('RHD: ' + text)}\n- z"
    items = bs4.BeautifulSoup(markdown2html_mistune(written), "html.parser")
    assert [item.get_text() for item in items.find_all("li")] == [f"RHD: {plain}", "z"]
    allowed = {"table", "thead", "tbody", "tr", "th", "td", "br", "ul", "li"}
    assert {tag.name for tag in [*table.find_all(), *items.find_all()]} <= allowed


def test_markdown_leaves_words_numbers_and_markdown_cells_alone():
    for text in ("label_fraction", "24.50 [24.00, 25.00]", "[38], T+S+H", "RGB->3D RHD", "−3 ± 0.1 %"):
        assert report_text.markdown_text(text) == text
    bold = report_text.Markdown("**a**")
    assert report_text.markdown_table(["a"], [[bold]]).endswith("| **a** |")


def test_latex_shows_every_sign_as_it_is():
    text = report_text.latex_table(["", "x"], [["a\\b{c}$d$#e^f~g|h`i<b>", "k--l---m"]], "")
    braces = r"a\textbackslash{}b\{c\}\$d\$\#e\textasciicircum{}f\textasciitilde{}g\textbar{}h\textasciigrave{}i"
    assert braces + r"\textless{}b\textgreater{} & k-{}-l-{}-{}-m \\" in text
    text = report_text.latex_table(["", "2D->3D"], [["a_b", "5 % & more"], ["x", "1.0 ± 0.1 – −2"]], "10 %")
    assert r"2D$\rightarrow$3D" in text and r"a\_b & 5 \% \& more \\" in text and r"\caption{10 \%}" in text
    assert r"x & 1.0 $\pm$ 0.1 -- $-$2 \\" in text


def test_latex_reads_no_bracket_as_an_argument_and_stacks_lines_in_a_cell():
    lines = report_text.latex_table(["", "x"], [["[38]", "25 [24, 26]\npaper 8"], ["[b\nc]", ""]], "").splitlines()
    first = lines.index(r"\midrule") + 1
    assert lines[first] == r"{}[38] & \makecell[r]{25 [24, 26] \\ paper 8} \\"
    assert lines[first + 1] == r"\makecell[r]{{}[b \\ c]} &  \\"
    for line in lines:
        assert not line.startswith("[") and line.count("{") == line.count("}")
