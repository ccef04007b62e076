"""One set, or one row, by one command: what DVC is asked for, and what it then brings."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from handvae.base import params
from handvae.base.errors import InputError
from stages import grid
from tests.conftest import REPOSITORY
from tests.test_pipeline import clone_at_tiny

REPRO = [sys.executable, "-m", "dvc", "repro"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def asked(monkeypatch):
    """The commands that would be run; each ends with the code in `code`."""
    calls, code = [], [0]

    def ran(command, env):
        calls.append(command)
        return subprocess.CompletedProcess(command, code[0])

    monkeypatch.setattr(grid.subprocess, "run", ran)
    monkeypatch.setattr(grid.signal, "signal", lambda *_: None)
    return calls, code


def test_without_names_everything_runs():
    assert grid.commands([], params.load(REPOSITORY / "params.yaml").experiments) == [REPRO]


@pytest.mark.parametrize("name", params.PROTOCOLS)
def test_a_set_is_its_rows_and_the_report(name):
    experiments = params.load(REPOSITORY / "params.yaml").experiments
    train, report = grid.commands([name], experiments)
    rows = [f"evaluate_paper@{row}" for row in experiments if experiments[row].dataset == name]
    assert train == [*REPRO, *rows] and report == [*REPRO, "--single-item", "--force", "report"]


def test_rows_and_sets_mix_each_row_once_in_the_grids_order():
    experiments = params.load(REPOSITORY / "params.yaml").experiments
    train, _ = grid.commands(["nyu", "rhd-2d-v1", "nyu-resnet18", "rhd-2d-v1"], experiments)
    assert train == [*REPRO, "evaluate_paper@rhd-2d-v1", "evaluate_paper@nyu-resnet18"]


def test_an_unknown_name_is_refused_in_one_line_with_the_known_ones(folder, asked):
    with pytest.raises(
        InputError, match=r"rhd, stb, rhd.stb, icvl, nyu, msra, rhd-2d-v1, .*; found 'rhd-2d-v9'"
    ) as refused:
        grid.main("rhd", "rhd-2d-v9")
    assert "\n" not in str(refused.value) and asked[0] == []


def test_parameters_are_set_as_dvc_does_and_the_rest_of_the_file_stays(folder, asked):
    before = params.load()
    grid.main("rhd", "-S", "data.rhd.source=/data/RHD_published_v2", "-S", "profile=paper")
    after = params.load()
    assert (after.data["rhd"].source, after.profile_name) == ("/data/RHD_published_v2", "paper")
    assert after.experiments == before.experiments and after.data["stb"] == before.data["stb"]
    assert (
        "# paper: " in (folder / "params.yaml").read_text() or "# Every number" in (folder / "params.yaml").read_text()
    )
    assert len(asked[0]) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("profil=paper", "Could not override 'profil'"),
        ("profile=big", "profile: expected one of small, night, paper, tiny, found 'big'"),
        ("profile", "missing EQUAL"),
    ],
)
def test_a_bad_parameter_runs_nothing_and_changes_nothing(folder, asked, change, message):
    before = (folder / "params.yaml").read_bytes()
    with pytest.raises(InputError, match=message):
        grid.main("rhd", "-S", "seeds=2", "-S", change)
    assert (folder / "params.yaml").read_bytes() == before and asked[0] == []


def test_dvcs_exit_code_is_passed_on_and_no_report_follows(folder, asked):
    asked[1][0] = 255
    with pytest.raises(SystemExit) as ended:
        grid.main("rhd-2d-v1")
    assert ended.value.code == 255 and len(asked[0]) == 1


def test_one_set_is_trained_and_evaluated_and_no_other_is_rendered(tmp_path, monkeypatch):
    """With a PATH on which there is no Python of this environment."""
    folder = clone_at_tiny(tmp_path)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    train, report = grid.commands(["icvl"], params.load().experiments)
    result = subprocess.run(train, env=grid.environment(), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in Path("data/raw").iterdir()) == ["icvl", "icvl.json"]
    assert sorted(path.name for path in Path("models").iterdir()) == ["icvl-resnet50"]
    assert Path("reports/metrics/icvl-resnet50.json").is_file() and report[-1] == "report"
