"""Snapshots of the report on fabricated results, in a git repository of their own: what they hold, what is refused."""

import json
import re
import shutil
import subprocess

import bs4
import numpy as np
import pandas as pd
import pytest
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from handvae.base.errors import InputError
from handvae.report import paper, tables
from handvae.report import snapshot as pages_of_snapshot
from stages import report, run, snapshot
from tests import test_report
from tests.conftest import REPOSITORY
from tests.test_tables import numbers, result, seeds

project, without_notebook = test_report.project, test_report.without_notebook  # fixtures
PLACE = "results/night"


def git(*arguments):
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def reported(project, without_notebook, monkeypatch):
    """The project with its report, committed; DVC finds nothing to do."""
    report.main()
    for name in ("params.yaml", "dvc.yaml", "dvc.lock"):
        shutil.copy(REPOSITORY / name, name)
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "results")
    monkeypatch.setattr(snapshot, "dvc_status", dict)
    return project


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def set_params(old, new):
    path = report.Path("params.yaml")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def facts(page):
    """The rows of the page's first table, by name."""
    table = bs4.BeautifulSoup(markdown2html_mistune(page), "html.parser").find("table")
    return dict([cell.get_text() for cell in row.find_all("td")] for row in table.find_all("tr")[1:])


def test_a_snapshot_holds_the_report_and_says_how_it_was_made(reported, capsys):
    snapshot.main(PLACE)
    folder, made = reported.folder / PLACE, files(reported.folder / PLACE)
    reports = files(reported.folder / "reports")
    for name in ("params.yaml", "dvc.lock"):
        assert made.pop(name) == (reported.folder / name).read_bytes()
    page, index = made.pop("README.md").decode(), made.pop("index.html").decode()
    assert made == {
        name: text for name, text in reports.items() if name.startswith(("tables/", "figures/", "metrics/"))
    }
    assert {"tables/table1.csv", "tables/claims.md", "figures/fig11.png", "metrics/rhd-2d-v3.json"} <= set(made)
    assert "own_experiment.html" in reports["index.html"].decode() and "own_experiment.html" not in index
    assert len(index) > 0.99 * len(reports["index.html"])
    said = facts(page)
    assert said["profile"] == "small" and said["commit"] == git("rev-parse", "HEAD")
    assert said["made by"] == "python -m stages.grid" and said["models"] == "3: 3 rows of 1 seed"
    assert re.fullmatch(r"Python 3\.\d+\.\d+, torch \d.*", said["versions"]) and said["machine"].endswith(" cores")
    assert said["time"] == "not known: no .grid/runs.jsonl, which stages.grid writes"
    assert all((folder / target).exists() for target in re.findall(r"\]\(([^)]+)\)", page))
    assert f"{len(made) + 4} files, " in capsys.readouterr().out
    assert str(reported.folder) not in page


def test_its_page_has_the_numbers_of_the_tables_with_intervals_beside_the_papers_and_the_mean_pose(reported):
    snapshot.main(PLACE)
    lines = (reported.folder / PLACE / "README.md").read_text().splitlines()
    for row in pd.read_csv("reports/tables/table1.csv", dtype=str).to_dict("records"):
        cell = (
            f"{row['epe_mean_mm']} [{row['epe_mean_mm_low']}, {row['epe_mean_mm_high']}] | {row['paper_epe_mean_mm']}"
        )
        (line,) = (line for line in lines if line.startswith(f"| Var. {row['variant']} |"))
        assert f"| {cell} |" in line
        (still,) = (line for line in lines if line.startswith("| mean pose"))
        assert f"| {row['mean_pose_epe_mm']} | – |" in still
    assert "| Var. 4 | – | 17.63 | – | 20.35 |" in lines  # not in this grid
    assert "| | 2D->3D RHD, **synthetic** | paper | RGB->3D RHD, **synthetic** | paper |" in lines
    assert any(test_report.SOURCE in line for line in lines)


def test_the_spread_over_seeds_stands_beside_rows_that_have_several():
    grid = [result("a", variant=1, metrics=numbers(25.0) | seeds()), result("b", variant=2, epe_mean_mm=26.0)]
    text = pages_of_snapshot.main_table(tables.joint_table(grid, paper.TABLES["table1"]))
    assert "| Var. 1 | 25.00 [24.50, 25.50], sd 1.25 (3 seeds) | 19.73 |" in text
    assert "| Var. 2 | 26.00 [25.50, 26.50] | 19.99 |" in text
    twice = pages_of_snapshot.main_table(
        tables.joint_table([result("a"), result("b", epe_mean_mm=9.0)], paper.TABLES["table1"])
    )
    assert "| Var. 1 | 25.00 [24.50, 25.50]; 9.00 [8.50, 9.50] | 19.73 |" in twice
    alone = numbers(25.0) | {"epe_mean_mm_low": np.nan, "epe_mean_mm_high": np.nan}
    assert "[1 block of frames: no interval]" in pages_of_snapshot.main_table(
        tables.joint_table([result("a", metrics=alone)], paper.TABLES["table1"])
    )


def test_the_same_run_makes_the_same_bytes_and_an_earlier_snapshot_is_replaced_whole(reported):
    snapshot.main(PLACE)
    first = files(reported.folder / PLACE)
    (reported.folder / PLACE / "figures/fig99.png").write_bytes(b"of an earlier version")
    snapshot.main(PLACE)
    assert files(reported.folder / PLACE) == first


def test_the_command_is_that_of_the_changes_to_the_commits_parameters(reported):
    commit = git("rev-parse", "HEAD")
    set_params("\nprofile: small", "\nprofile: night")
    assert snapshot.command(commit) == "`python -m stages.grid -S profile=night`"
    set_params("    source: synthetic", "    source: [a b.zip, c.zip]")
    set_params("test_subject: null", "test_subject: P1")
    expected = '-S test_subject=P1 -S profile=night -S \'data.rhd.source=["a b.zip","c.zip"]\''
    assert snapshot.command(commit) == f"`python -m stages.grid {expected}`"
    set_params("  stb-cross:", "  stb-crossed:")  # which no -S does
    assert snapshot.command(commit) == "`python -m stages.grid`, with the params.yaml of this folder"


def write_runs(*runs):
    report.Path(".grid").mkdir(exist_ok=True)
    lines = [one if isinstance(one, str) else json.dumps({"started": "2025-01-01T00:00:00"} | one) for one in runs]
    snapshot.RUNS.write_text("\n".join(lines) + "\n")


def test_the_time_is_that_of_this_profiles_runs_of_rows_at_this_commit(reported):
    commit = git("rev-parse", "HEAD")
    of_run = {"workers": 2, "rows": ["rhd-2d-v1"], "profile": "small", "commit": commit}
    write_runs(
        *({**of_run, "seconds": 7000.5}, {**of_run, "seconds": 9000, "profile": "tiny"}),
        *({**of_run, "seconds": 9000, "commit": "0" * 40}, {**of_run, "seconds": 3800}),
        *({**of_run, "seconds": 9000, "commit": None}, {**of_run, "seconds": 9000, "rows": []}),
    )
    snapshot.main(PLACE)
    page = (reported.folder / PLACE / "README.md").read_text()
    assert facts(page)["time"] == "3.0 hours in 2 runs, 2 workers"
    assert snapshot.time_text(snapshot.RUNS, "tiny", commit) == "2.5 hours, 2 workers"
    assert snapshot.time_text(snapshot.RUNS, "paper", commit).startswith("not known: no run of profile paper and ")
    write_runs({**of_run, "seconds": 90, "workers": 1}, {**of_run, "seconds": 150.2})
    assert snapshot.time_text(snapshot.RUNS, "small", commit) == "4 minutes in 2 runs, 1 or 2 workers"


def test_a_run_counts_as_long_as_the_code_is_that_of_its_commit(reported):
    write_runs({"workers": 2, "rows": ["a"], "profile": "small", "commit": git("rev-parse", "HEAD"), "seconds": 600})

    def time_after(name):
        report.Path(name).parent.mkdir(exist_ok=True)
        report.Path(name).write_text("other")
        git("add", name)
        git("commit", "-q", "-m", name)
        return snapshot.time_text(snapshot.RUNS, "small", git("rev-parse", "HEAD"))

    assert time_after("README.md") == time_after("docs/a.md") == time_after("params.yaml") == "10 minutes, 2 workers"
    for name in ("handvae/new.py", "notebooks/new.ipynb", "stages/new.py"):
        assert time_after(name) == "not known: no run of profile small and this code in .grid/runs.jsonl"
        git("reset", "-q", "--soft", "HEAD~1")
        git("rm", "-q", "--cached", name)


@pytest.mark.parametrize("line", ['{"profile": "small", "comm', '{"profile": "small"}', "[]", "7"])
def test_a_broken_line_of_the_runs_is_named(reported, line):
    write_runs(line)
    with pytest.raises(
        InputError, match=r"^\.grid/runs\.jsonl: line 1: expected JSON with seconds, .*delete the line$"
    ):
        snapshot.main(PLACE)
    assert not (reported.folder / "results").exists()


def refused(capsys, place=PLACE):
    """The one line that the program ends with."""
    with pytest.raises(SystemExit) as ended:
        run(snapshot.main, place)
    assert capsys.readouterr().out == "" and "\n" not in str(ended.value)
    return str(ended.value)


def test_a_report_of_other_parameters_is_refused(reported, monkeypatch, capsys):
    changed = dict.fromkeys(["train_paper@rhd-rgb-v1", "evaluate_paper@rhd-rgb-v1", "report", "a", "b"])
    monkeypatch.setattr(snapshot, "dvc_status", lambda: changed)
    line = refused(capsys)
    assert "reports: expected the report of params.yaml as it is, found changes (dvc status) in train_paper@" in line
    assert line.endswith("report and 2 more; run `python -m stages.grid`")
    assert not (reported.folder / "results").exists()


@pytest.mark.parametrize("name", ["notebooks/tables.ipynb", "handvae/new.py", "dvc.yaml"])
def test_code_that_is_not_the_commits_is_refused(reported, capsys, name):
    path = reported.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("other")
    line = refused(capsys)
    assert re.match(
        rf"error: {name.split('.')[0]}.*: expected the code as in commit \w{{12}}, found changes", line
    ) or (line.startswith("error: handvae/: expected the code as in commit "))
    assert not (reported.folder / "results").exists()


def test_a_folder_with_anything_else_is_refused_and_stays(reported, capsys):
    before = files(reported.folder)
    for place in ("notebooks", ".", "reports", "params.yaml"):
        assert f"error: {place}: expected a" in refused(capsys, place)
    (reported.folder / "empty").mkdir()
    snapshot.main("empty")
    assert {name: text for name, text in files(reported.folder).items() if not name.startswith("empty/")} == before


def test_without_a_repository_or_a_report_one_line_says_so(reported, capsys):
    (reported.folder / "reports/tables/depth.csv").unlink()
    assert "reports/tables/depth.csv" in refused(capsys)
    shutil.rmtree(reported.folder / ".git")
    assert "`git rev-parse HEAD` failed and said: fatal: not a git repository" in refused(capsys)
    assert not (reported.folder / "results").exists()


def test_a_write_that_fails_leaves_the_earlier_snapshot(reported, monkeypatch, capsys):
    snapshot.main(PLACE)
    capsys.readouterr()
    before = files(reported.folder / PLACE)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot.shutil, "copy", full)
    assert "No space left on device" in refused(capsys)
    assert files(reported.folder / PLACE) == before and not list(reported.folder.rglob("*.partial"))
