from handvae.report.left_out import LeftOut, html_of, line_of, markdown_of

ROWS = [
    *(LeftOut(f"stb-{name}", "stb", "no results") for name in "ab"),
    LeftOut("_<b>_", "icvl", "results of profile '*x*' where params.yaml has 'small'"),
    LeftOut("stb-c", "stb", "no results"),
]
TEXTS = ["STB, no results: stb-a, stb-b, stb-c", "ICVL, results of profile '*x*' where params.yaml has 'small': _<b>_"]


def test_rows_are_counted_and_named_by_set_and_reason_with_what_to_run():
    command = "`python -m stages.grid <row>` makes one"
    assert line_of(ROWS, 6) == f"4 of 6 rows left out: {'; '.join(TEXTS)}; {command}"
    assert markdown_of(ROWS, 6).splitlines() == [
        "**4 of the grid's 6 rows are left out, with all that is made from them.** "
        "`python -m stages.grid <row>` makes the results of one.",
        *("", f"- {TEXTS[0]}", "- " + TEXTS[1].replace("*", "&#42;").replace("_", "&#95;").replace("<", "&#60;")),
    ]
    page = html_of(ROWS, 6)
    assert page.startswith('<div class="notice"><p>4 of the grid\'s 6 rows are left out')
    assert "<code>python -m stages.grid &lt;row&gt;</code>" in page and "_&lt;b&gt;_</li>" in page
    assert page.count("<li>") == 2


def test_a_whole_grid_has_no_notice():
    assert markdown_of([], 6) == html_of([], 6) == ""
