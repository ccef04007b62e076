"""Snapshots of this repository's report, in a git repository of their own: what they hold, what is refused."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from handvae.base import params
from handvae.report import pages
from handvae.report.tables_page import readme_table1
from stages import run, snapshot
from tests.conftest import REPOSITORY

TARGET = Path("results/night")


def git(*arguments):
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(autouse=True)
def commit(tmp_path, monkeypatch):
    """Of a repository, in which tests run, with parts of the report; DVC finds nothing to do."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(snapshot, "dvc_status", lambda targets: {})
    shutil.copytree(REPOSITORY / "reports/tables", "reports/tables")
    names = ("params.yaml", "dvc.yaml", "dvc.lock", "reports/figures/fig09.png", "reports/metrics/rhd-2d-v1.json")
    for name in names:
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, name)
    Path("reports/index.html").write_text(f"<h1>Report</h1>\n<p>{pages.OWN_LINK}</p>\n<p>Tables</p>\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "results")
    return git("rev-parse", "HEAD")


def files(folder):
    paths = [path for path in sorted(Path(folder).rglob("*")) if path.is_file() and ".git" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def set_params(old, new):
    text = Path("params.yaml").read_text()
    assert old in text
    Path("params.yaml").write_text(text.replace(old, new, 1))


def test_a_snapshot_holds_the_report_and_says_how_it_was_made(tmp_path, commit, capsys):
    snapshot.main(str(TARGET))
    made, reports = files(TARGET), files("reports")
    for name in ("params.yaml", "dvc.lock"):
        assert made.pop(name) == Path(name).read_bytes()
    del reports["index.html"]
    page, index = made.pop("README.md").decode(), made.pop("index.html").decode()
    assert index == "<h1>Report</h1>\n<p>Tables</p>\n" and made == reports
    facts = dict(re.findall(r"^\| (.+?) \| (.+) \|$", page, re.MULTILINE))
    rows = len(params.load().experiments)
    assert facts["profile"] == "small" and commit in facts["commit"]
    assert facts["made by"] == "`python -m stages.grid`" and facts["models"] == f"{rows}: {rows} rows of 1 seed"
    assert re.fullmatch(r"Python 3\.\d+\.\d+, torch \d.*", facts["versions"]) and facts["machine"].endswith(" cores")
    assert facts["time"] == "not known: no .grid/runs.jsonl, which stages.grid writes"
    assert readme_table1(pd.read_csv("reports/tables/table1.csv")) in page and str(tmp_path) not in page
    assert all((TARGET / target).exists() for target in re.findall(r"\]\(([^)]+)\)", page))
    assert f"{len(made) + 4} files, " in capsys.readouterr().out
    # the same run makes the same bytes, and an earlier snapshot is replaced whole
    first = files(TARGET)
    (TARGET / "figures/fig99.png").write_bytes(b"of an earlier version")
    snapshot.main(str(TARGET))
    assert files(TARGET) == first


def test_the_command_is_that_of_the_changes_to_the_commits_parameters(commit):
    set_params("\nprofile: small", "\nprofile: night")
    assert snapshot.command(commit) == "`python -m stages.grid -S profile=night`"
    set_params("    source: synthetic", "    source: [a b.zip, c.zip]")
    set_params("\ntest_subject:", "\ntest_subject: P1")
    expected = '-S test_subject=P1 -S profile=night -S \'data.rhd.source=["a b.zip","c.zip"]\''
    assert snapshot.command(commit) == f"`python -m stages.grid {expected}`"
    set_params("  stb-cross:", "  stb-crossed:")  # which no -S does
    assert snapshot.command(commit) == "`python -m stages.grid`, with the params.yaml of this folder"


def write_runs(*runs):
    Path(".grid").mkdir(exist_ok=True)
    snapshot.RUNS.write_text("".join(f"{json.dumps(run)}\n" for run in runs))


def test_the_time_is_that_of_this_profiles_runs_of_rows_with_this_code(commit):
    of_run = {"workers": 2, "rows": ["rhd-2d-v1"], "profile": "small", "commit": commit, "seconds": 9000}
    others = [{"profile": "tiny"}, {"commit": "0" * 40}, {"commit": None}, {"rows": []}]
    write_runs(*(of_run | changes for changes in ({"seconds": 7000.5}, *others, {"seconds": 3800})))

    def time_after(name):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("other")
        git("add", name)
        git("commit", "-q", "-m", name)
        return snapshot.time_text(snapshot.RUNS, "small", git("rev-parse", "HEAD"))

    assert time_after("docs/a.md") == "3.0 hours in 2 runs, 2 workers"
    assert time_after("handvae/new.py") == "not known: no run of profile small and this code in .grid/runs.jsonl"


def refused(folder=TARGET):
    """The one line that the program ends with."""
    with pytest.raises(SystemExit) as ended:
        run(snapshot.main, str(folder))
    assert "\n" not in str(ended.value)
    return str(ended.value)


@pytest.mark.parametrize(("name", "changed"), [("dvc.yaml", "dvc.yaml"), ("handvae/new.py", "handvae/")])
def test_code_that_is_not_the_commits_is_refused(commit, name, changed):
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text("other")
    assert f"error: {changed}: expected the code as in commit {commit[:12]}, found changes" in refused()
    assert not TARGET.exists()


def test_a_folder_with_anything_else_is_refused_and_stays():
    before = files(".")
    for folder in (".", "reports", "params.yaml"):
        assert f"error: {folder}: expected a" in refused(folder)
    assert files(".") == before


def test_without_a_repository_or_a_report_one_line_says_so():
    Path("reports/tables/depth.csv").unlink()
    assert "reports/tables/depth.csv" in refused()
    shutil.rmtree(".git")
    assert "`git rev-parse HEAD` failed and said: fatal: not a git repository" in refused()
    assert not TARGET.exists()
