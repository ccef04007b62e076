"""One set, or one row, by one command: what DVC is asked for, and what it then brings."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from handvae.base import dataset_params, params
from handvae.base.errors import InputError
from stages import grid
from stages.parallel import clones, cluster, processes
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
    """The commands that one worker would run; each ends with the code in `code`."""
    calls, code = [], [0]

    def ran(_, command, folder):
        calls.append(command)
        return code[0]

    monkeypatch.setattr(processes.Interrupts, "run", ran)
    monkeypatch.setattr(processes.Interrupts, "listen", lambda _: None)
    monkeypatch.setattr(grid, "cores", lambda: 1)
    return calls, code


def test_without_names_everything_runs():
    assert grid.commands([], params.load(REPOSITORY / "params.yaml").experiments) == [REPRO]


@pytest.mark.parametrize("name", dataset_params.DATASETS)
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


def test_the_longest_rows_are_trained_first():
    loaded = params.load(REPOSITORY / "params.yaml")
    rows = ("icvl-resnet50", "icvl-resnet18", "rhd-2d-v1")
    assert sorted(rows, key=lambda row: grid.cost(row, loaded), reverse=True) == list(rows)
    assert grid.cost("stb-cross", loaded) == 7 * grid.cost("stb-rgb-v1", loaded)  # seven pairs


@pytest.mark.parametrize(
    ("workers", "message"),
    [
        ("0", "--workers: expected 1 or more, found 0; Usage"),
        ("two", "invalid int value: 'two'; Usage"),
        ("3", "--workers 3: expected at most the 2 cores that there are, one a worker"),
    ],
)
def test_workers_that_cannot_be_are_refused_before_anything_runs(folder, asked, monkeypatch, workers, message):
    monkeypatch.setattr(grid, "cores", lambda: 2)
    before = (folder / "params.yaml").read_bytes()
    with pytest.raises(InputError, match=message) as refused:
        grid.main("rhd", "-S", "seeds=2", "--workers", workers)
    assert "\n" not in str(refused.value) and asked[0] == []
    assert (folder / "params.yaml").read_bytes() == before


@pytest.fixture
def without_ray(folder, asked, monkeypatch):
    """Two cores, no Ray; of the rows those in the list are due."""
    waiting = []
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(grid, "cores", lambda: 2)
    monkeypatch.setattr(grid, "due", lambda *_: list(waiting))
    return waiting


def test_without_ray_one_line_names_the_ways_out_and_one_worker_goes(without_ray, asked):
    without_ray += ["rhd-2d-v1", "rhd-2d-v2"]
    needs_ray = r"Ray, which is not installed: `pip install .*--workers 1"
    with pytest.raises(InputError, match=needs_ray):
        grid.main("rhd-2d-v1", "rhd-2d-v2", "--workers", "2")
    assert asked[0] == []
    with pytest.raises(InputError, match=needs_ray):
        grid.main("rhd-2d-v1", "rhd-2d-v2")
    assert asked[0] == [[*REPRO, "preprocess@rhd"]]
    grid.main("rhd-2d-v1", "rhd-2d-v2", "--workers", "1")
    assert len(asked[0]) == 3


@pytest.mark.parametrize("due", [[], ["rhd-2d-v1"]])
def test_without_ray_what_is_for_one_worker_just_works(without_ray, asked, folder, due):
    without_ray += due
    grid.main("rhd-2d-v1", "rhd-2d-v2")
    assert [command[len(REPRO)] for command in asked[0]] == [
        "preprocess@rhd",
        "evaluate_paper@rhd-2d-v1",
        "--single-item",
    ]
    line = json.loads((folder / ".grid/runs.jsonl").read_text())
    assert (line["workers"], line["rows"], line["ended"]) == (1, due, "finished")


def test_a_second_grid_leaves_the_parameters_of_the_first(folder, asked):
    before = (folder / "params.yaml").read_bytes()
    with clones.held(folder), pytest.raises(InputError, match=r"another stages\.grid is at work here"):
        grid.main("rhd", "-S", "seeds=2")
    assert (folder / "params.yaml").read_bytes() == before and asked[0] == []
    grid.main("rhd", "-S", "seeds=2")
    assert (folder / "params.yaml").read_bytes() != before


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1", "ray://127.0.0.1"])
def test_a_cluster_that_does_not_answer_is_one_line(folder, asked, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(InputError, match=f"RAY_ADDRESS: expected host:port of `ray start --head`, found {address}: "):
        grid.main("rhd-2d-v1")
    assert asked[0] == []


def test_each_run_leaves_a_line(folder, asked):
    grid.main("rhd-2d-v1")
    asked[1][0] = 7
    with pytest.raises(SystemExit):
        grid.main("rhd-2d-v1")
    first, second = map(json.loads, (folder / ".grid/runs.jsonl").read_text().splitlines())
    assert (first["ended"], second["ended"]) == ("finished", "SystemExit") and first["started"] < second["started"]
    assert first["profile"] == "small" and first["workers"] == 1 and 0 <= first["seconds"] < 60


def test_training_needs_no_ray():
    code = "import sys; import stages.train, stages.evaluate; sys.exit('ray' in sys.modules)"
    assert importlib.util.find_spec("ray")
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0


def test_one_set_is_trained_and_evaluated_and_no_other_is_rendered(tmp_path, monkeypatch):
    """With a PATH on which there is no Python of this environment."""
    folder = clone_at_tiny(tmp_path)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    train, report = grid.commands(["icvl"], params.load().experiments)
    result = subprocess.run(train, env=processes.environment(folder), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in Path("data/raw").iterdir()) == ["icvl", "icvl.json"]
    assert sorted(path.name for path in Path("models").iterdir()) == ["icvl-resnet50"]
    assert Path("reports/metrics/icvl-resnet50.json").is_file() and report[-1] == "report"
