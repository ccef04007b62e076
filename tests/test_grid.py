"""One set, or one row, by one command: what DVC is asked for; what is refused before anything runs."""

import json
import shutil
import sys

import pytest

from handvae.base import dataset_params, params
from handvae.base.errors import InputError
from stages import grid
from stages.parallel import clones, cluster, processes
from tests.conftest import REPOSITORY

REPRO = [sys.executable, "-m", "dvc", "repro"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("params.yaml", "detector.yaml"):
        shutil.copy(REPOSITORY / name, tmp_path)
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


def test_dvc_is_asked_for_each_row_once_in_the_grids_order_and_for_the_report():
    experiments = params.load(REPOSITORY / "params.yaml").experiments
    assert grid.commands([], experiments) == [REPRO]
    for name in dataset_params.DATASETS:
        rows, report = grid.commands([name], experiments)
        assert rows == [*REPRO, *(f"evaluate_paper@{row}" for row in experiments if experiments[row].dataset == name)]
        assert report == [*REPRO, "--single-item", "--force", "report", "reproduction"]
    rows, _ = grid.commands(["nyu", "rhd-2d-v1", "nyu-resnet18", "rhd-2d-v1"], experiments)
    assert rows == [*REPRO, "evaluate_paper@rhd-2d-v1", "evaluate_paper@nyu-resnet18"]


def test_a_profile_without_steps_of_the_detector_is_refused_before_anything_is_trained(folder, asked):
    steps = (folder / "detector.yaml").read_text().replace("  small: 600\n", "")
    (folder / "detector.yaml").write_text(steps)
    with pytest.raises(InputError, match=r"^detector.yaml: steps: expected those of profile 'small', found tiny, "):
        grid.main()
    assert asked[0] == []
    grid.main("rhd-2d-v1")  # without the detector


def test_parameters_are_set_as_dvc_does_and_the_rest_of_the_file_stays(folder, asked):
    before = params.load()
    grid.main("rhd", "-S", "data.rhd.source=/data/RHD_published_v2", "-S", "profile=paper")
    after = params.load()
    assert (after.data["rhd"].source, after.profile_name) == ("/data/RHD_published_v2", "paper")
    assert after.experiments == before.experiments and after.data["stb"] == before.data["stb"]
    assert "# Every number" in (folder / "params.yaml").read_text() and len(asked[0]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rhd-2d-v9"], r"rhd, stb, icvl, rhd.stb, nyu, msra, rhd-2d-v1, .*; found 'rhd-2d-v9'"),
        (["-S", "profil=paper"], "Could not override 'profil'"),
        (["-S", "profile=big"], "profile: expected one of small, night, paper, tiny, found 'big'"),
        (["--workers", "0"], "--workers: expected 1 or more, found 0; usage: python -m stages.grid"),
        (["--workers", "3"], "--workers 3: expected at most the 2 cores that there are, one a worker"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_runs_or_changes(folder, asked, monkeypatch, arguments, message):
    monkeypatch.setattr(grid, "cores", lambda: 2)
    before = (folder / "params.yaml").read_bytes()
    with pytest.raises(InputError, match=message):
        grid.main("rhd", "-S", "seeds=2", *arguments)
    with clones.held(folder), pytest.raises(InputError, match=r"another stages\.grid is at work here"):
        grid.main("rhd", "-S", "seeds=2")
    assert asked[0] == [] and (folder / "params.yaml").read_bytes() == before


def test_a_cluster_that_does_not_answer_is_one_line(folder, asked, monkeypatch):
    for address in ("127.0.0.1:1", "ray://127.0.0.1"):
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(InputError, match=f"RAY_ADDRESS: expected host:port of `ray start --head`, found {address}"):
            grid.main("rhd-2d-v1")
    assert asked[0] == []


def test_each_run_leaves_a_line_and_dvcs_exit_code_is_passed_on_without_a_report(folder, asked):
    grid.main("rhd-2d-v1")
    asked[1][0] = 7
    with pytest.raises(SystemExit) as ended:
        grid.main("rhd-2d-v1")
    assert ended.value.code == 7 and len(asked[0]) == 2 + 1
    first, second = map(json.loads, (folder / ".grid/runs.jsonl").read_text().splitlines())
    assert (first["ended"], second["ended"]) == ("finished", "SystemExit") and first["started"] < second["started"]
    assert first["profile"] == "small" and first["workers"] == 1 and 0 <= first["seconds"] < 60


@pytest.fixture
def due(folder, asked, monkeypatch):
    """Two cores; of the rows those in the list are due."""
    waiting = []
    monkeypatch.setattr(grid, "cores", lambda: 2)
    monkeypatch.setattr(grid, "due", lambda *_: list(waiting))
    return waiting


def test_without_ray_one_line_names_the_ways_out_and_one_worker_goes(due, asked, monkeypatch):
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None)
    due += ["rhd-2d-v1", "rhd-2d-v2"]
    needs_ray = r"Ray, which is not installed: `pip install .*--workers 1"
    with pytest.raises(InputError, match=needs_ray):
        grid.main("rhd-2d-v1", "rhd-2d-v2", "--workers", "2")
    assert asked[0] == []
    with pytest.raises(InputError, match=needs_ray):
        grid.main("rhd-2d-v1", "rhd-2d-v2")
    assert asked[0] == [[*REPRO, "preprocess@rhd"]]
    grid.main("rhd-2d-v1", "rhd-2d-v2", "--workers", "1")
    assert len(asked[0]) == 3
    del due[1:], asked[0][:]  # nothing is left for a second worker
    grid.main("rhd-2d-v1", "rhd-2d-v2")
    firsts = [command[len(REPRO)] for command in asked[0]]
    assert firsts == ["preprocess@rhd", "evaluate_paper@rhd-2d-v1", "--single-item"]


def test_a_row_that_fails_is_named_and_the_others_are_brought(due, asked, monkeypatch, capsys):
    good, bad = "rhd-2d-v1", "rhd-2d-v2"
    due += [good, bad]

    def run_rows(home, places, tasks, gpu_share, stopped, done):
        outcomes = [cluster.Outcome(bad, 1.0, True, "expected a finite loss"), cluster.Outcome(good, 2.0, True, "")]
        for outcome in outcomes:
            done(outcome, {})
        return outcomes

    monkeypatch.setattr(cluster, "connect", lambda *_, **__: (2, 0.0))
    monkeypatch.setattr(cluster, "disconnect", lambda: None)
    monkeypatch.setattr(cluster, "run_rows", run_rows)
    monkeypatch.setattr(clones, "make", lambda *_: [])
    with pytest.raises(InputError, match=f"^1 of 2 rows failed: {bad}; the others are finished$"):
        grid.main(good, bad)
    assert asked[0] == [[*REPRO, "preprocess@rhd"], [*REPRO, "--quiet", f"evaluate_paper@{good}"]]
    said = capsys.readouterr()
    assert said.err == f"error: {bad}: expected a finite loss\n" and f"2 of 2 rows, {good} in 0:02" in said.out
