"""The reproduction report of the committed runs, whole and changed: their numbers stand in it, and what they mean."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from handvae.report import paper
from handvae.report.claims import ABSENT
from handvae.reproduction import artifacts, document
from stages import reproduction, run
from tests.conftest import REPOSITORY

NAMES = [*(f"{name}.csv" for name in artifacts.COLUMNS), "summary.md", "tables.md", "captions.json"]
# the kept runs that have what this version reads
COMMITTED = [path.parent for path in sorted(REPOSITORY.glob("re*/**/tables/summary.md"))]
of_committed_runs = pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.parent.name)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A folder with the committed tables, in which the stage runs."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(REPOSITORY / reproduction.TABLES, reproduction.TABLES)


@pytest.fixture
def committed() -> artifacts.Artifacts:
    return artifacts.read(REPOSITORY / reproduction.TABLES)


def page_of(folder):
    return document.text(artifacts.read(folder))


def part(page, heading):
    """What stands under a heading, down to the next of its level or above."""
    level = heading.partition(" ")[0]
    after = page.partition(f"\n{heading}")[2]
    assert after, heading
    return re.split(rf"\n#{{1,{len(level)}}} ", after)[0]


def decimals(text):
    """The numbers with a point; a sign that is not ASCII's is one too."""
    return {float(number) for number in re.findall(r"-?\d+\.\d+", text.replace("−", "-"))}


@of_committed_runs
def test_the_numbers_are_those_of_the_files_and_all_of_the_mean_errors_are_there(folder):
    page = page_of(folder)
    written = decimals("".join(path.read_text() for path in folder.glob("*.csv")))
    baseline = {number for of_statistic in paper.BASELINE_MM.values() for number in of_statistic}
    printed = decimals(part(page, "## Results") + part(page, "## Claims"))
    assert len(printed) > 60 and printed <= written | baseline
    for name in ("table1", "table2", "depth"):
        frame = pd.read_csv(folder / f"{name}.csv")
        columns = ["epe_mean_mm", "epe_mean_mm_low", "epe_mean_mm_high", "paper_epe_mean_mm"]
        assert set(frame[columns].dropna().to_numpy().ravel()) <= printed
        assert all(f" over {seeds} seeds" in page for seeds in frame["seeds"] if seeds > 1)
    assert "figures/fig04a.png" in page


def test_the_stage_writes_the_same_bytes_twice_and_other_bytes_of_another_number(workspace):
    reproduction.main()
    first = reproduction.PAGE.read_text()
    reproduction.main()
    assert reproduction.PAGE.read_text() == first
    table = reproduction.TABLES / "table1.csv"
    number = str(pd.read_csv(table)["epe_mean_mm"][0])
    table.write_text(table.read_text().replace(number, "98.76"))
    reproduction.main()
    assert number in first and "98.76" not in first and "98.76" in reproduction.PAGE.read_text()


def refused():
    with pytest.raises(SystemExit) as ended:
        run(reproduction.main)
    assert "\n" not in ended.value.code and not reproduction.PAGE.exists()
    return ended.value.code


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_missing_or_broken_is_one_line(workspace, name):
    path = reproduction.TABLES / name
    path.write_text("[]" if name == "captions.json" else "a,b\n1,2\n")
    assert refused().startswith(f"error: {path}: expected ")
    path.write_text("")
    assert refused().startswith(f"error: {path}: expected ")
    path.unlink()
    said = f"error: {path}: expected a table of the report, found no file; `dvc repro --single-item --force report` "
    assert refused().startswith(said)


@pytest.mark.parametrize(
    ("kinds", "profile", "lead", "size"),
    [
        (["synthetic"], "paper", "none", "full"),
        (["other images"], "small", "none", "other"),
        (["published"], "small", "size", "other"),
        (["published", "synthetic"], "paper", "some", "full"),
        (["published"], "paper", "all", "full"),
    ],
)
def test_the_page_says_first_whether_the_papers_numbers_can_be_tested(committed, kinds, profile, lead, size):
    tables = dict(committed.tables)
    for name in artifacts.OF_IMAGES:
        kind = [kinds[row % len(kinds)] for row in range(len(tables[name]))]
        changes = {"kind": kind, "data": f"images; profile {profile}; 9 test frames", "verdict": "inside interval"}
        tables[name] = tables[name].assign(**changes)
    page = document.text(replace(committed, tables=tables, notices="Augmented otherwise."))
    said = part(page, "## In short").strip()
    assert said.startswith(document.WORDS["lead"][lead].strip()) and "Augmented otherwise." in page
    assert document.WORDS["size"][size].partition("{")[0].strip() in said
    assert ("profile `small`, not of the paper's size" in said) == (size == "other")
    compared = re.search(r"as seen from ours: \d+ inside interval\.", page) is not None
    assert compared == ("published" in kinds) == ("| inside interval |" in page)
    assert (document.WORDS["nothing_counted"] in page) != compared


def test_a_run_without_results_says_so_and_not_more(committed):
    without = {name: table.iloc[:0] for name, table in committed.tables.items() if name not in ("parameters", "claims")}
    page = document.text(replace(committed, tables=committed.tables | without))
    assert page.count("\n\nNot in this run.") == 5 and "- none: no such experiment" in page
    assert document.WORDS["lead"]["none"].strip() in page and "12,398,387" in page


@of_committed_runs
def test_every_claim_stands_under_its_verdict_and_is_counted(folder):
    claims = artifacts.read(folder).tables["claims"].copy()
    claims.loc[0, ["verdict", "data"]] = ABSENT, "needs an experiment of variant cross"
    page = document.verdicts.sections(claims)
    for verdict, heading in document.verdicts.HEADINGS.items():
        under, chosen = part(f"\n{page}", f"### {heading}"), claims[claims["verdict"].str.startswith(verdict)]
        assert all(document.verdicts.markdown_text(claim) in under for claim in chosen["claim"])
        assert verdict == ABSENT or f"### {heading}: {len(chosen)} measurement" in page
    assert "needs an experiment of variant cross" in part(f"\n{page}", "### Not in this run")


def test_the_committed_page_is_that_of_the_committed_tables_and_its_links_lead_somewhere():
    page = (REPOSITORY / reproduction.PAGE).read_text()
    assert page == page_of(REPOSITORY / reproduction.TABLES)
    links = re.findall(r"\]\(([^)#:]+)\)", page)
    assert len(links) > 20 and all((REPOSITORY / "reports" / link).exists() for link in links)


def test_no_number_is_typed_in_the_prose():
    folder = Path(document.__file__).parent
    prose = (folder / "report.md").read_text() + (folder / "words.yaml").read_text()
    assert re.findall(r"\d+\.\d|\d+,\d{3}|\d ?(?:mm|%|px|hours|minutes)", prose) == []
