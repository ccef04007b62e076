"""The README against the repository: its numbers are those of the committed run, its files and commands exist."""

import csv
import re

from tests.conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text()


def test_the_results_shown_are_those_of_the_committed_tables():
    with open(REPOSITORY / "reports/tables/table1.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    for row in rows:
        line = next(line for line in README.splitlines() if line.startswith(f"| Var. {row['variant']} |"))
        cell = (
            f"{row['epe_mean_mm']} [{row['epe_mean_mm_low']}, {row['epe_mean_mm_high']}] | {row['paper_epe_mean_mm']}"
        )
        assert cell in line, row["experiment"]
    with open(REPOSITORY / "reports/tables/depth.csv") as file:
        for row in csv.DictReader(file):
            line = f"{row['encoder']} | {row['epe_mean_mm']} [{row['epe_mean_mm_low']}, {row['epe_mean_mm_high']}]"
            assert line in README or "sequence" in row["test"]
    assert "synthetic" in rows[0]["data"] and "**synthetic**" in README


def test_linked_files_exist_and_make_knows_its_targets():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (REPOSITORY / target).is_file(), target
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = re.findall(r"make (\w+)", README)
    assert {"repro", "test", "bench"} <= set(targets)
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
