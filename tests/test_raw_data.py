"""Raw data that is gone comes back where it is needed; outside of the workspace relative paths still mean the same."""

import shutil
from contextlib import chdir
from pathlib import Path

import pytest

from handvae.base import workers, workspace
from stages import download, preprocess
from tests.conftest import REPOSITORY
from tests.damage import refusal
from tests.test_rhd import write_set

COUNTS = {"training": 3, "evaluation": 2}


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder with params.yaml at profile tiny; RHD from a folder beside it, given by a relative path."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))  # for what preprocessing starts
    monkeypatch.setattr(workers, "in_order", lambda function, items, processes: map(function, items))
    folder = tmp_path / "project"
    folder.mkdir()
    text = (REPOSITORY / "params.yaml").read_text().replace("\nprofile: small", "\nprofile: tiny")
    (folder / "params.yaml").write_text(text.replace("\n    source: synthetic", "\n    source: ../photos", 1))
    write_set(tmp_path / "photos", COUNTS)
    return folder


def stage(main, folder: Path) -> bytes:
    """Run a stage of RHD in a folder; its manifest."""
    with chdir(folder):
        main("rhd")
    return (folder / "data/raw/rhd.json").read_bytes()


def outside(project: Path) -> Path:
    """What DVC makes for `--temp` and its queue: what git and DVC track, no raw data."""
    folder = project / ".dvc/tmp/exps/tmpabc"
    (folder / "data/raw").mkdir(parents=True)
    for name in ("params.yaml", "data/raw/rhd.json"):
        shutil.copy(project / name, folder / name)
    return folder


@pytest.mark.parametrize("outside_of_workspace", [False, True])
def test_raw_data_that_was_deleted_is_brought_again_to_the_same_bytes(project, capsys, outside_of_workspace):
    shutil.make_archive(str(project.parent / "photos"), "zip", project.parent / "photos")
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("source: ../photos", "source: ../photos.zip"))
    manifest = stage(download.main, project)
    stage(preprocess.main, project)
    processed = Path("data/processed/rhd.h5")
    before = (project / processed).read_bytes()
    shutil.rmtree(project / "data/raw/unpacked")
    folder = outside(project) if outside_of_workspace else project
    capsys.readouterr()
    assert stage(preprocess.main, folder) == manifest and (folder / processed).read_bytes() == before
    assert capsys.readouterr().out.count("bringing the raw data again") == 1
    assert (project / "data/raw/unpacked").exists() != outside_of_workspace


def test_outside_of_the_workspace_its_raw_data_is_read_and_a_relative_source_is_the_workspaces(project, capsys):
    manifest = stage(download.main, project)
    stage(preprocess.main, project)
    experiment = outside(project)
    stage(preprocess.main, experiment)
    first, second = ((folder / "data/processed/rhd.h5").read_bytes() for folder in (project, experiment))
    assert "again" not in capsys.readouterr().out and first == second
    (experiment / "data/raw/rhd.json").unlink()
    assert stage(download.main, experiment) == manifest


@pytest.mark.parametrize("outside_of_workspace", [False, True])
def test_other_data_than_was_tracked_is_refused_in_one_line_and_the_manifest_stays(project, outside_of_workspace):
    manifest = stage(download.main, project)
    folder = outside(project) if outside_of_workspace else project
    write_set(project.parent / "photos", COUNTS, seed=1)
    line = refusal(stage, preprocess.main, folder)
    assert "expected the raw data that data/raw/rhd.json describes, found other data" in line
    assert "`dvc repro -f download@rhd`" in line and (f"in {project}" in line) == outside_of_workspace
    assert (folder / "data/raw/rhd.json").read_bytes() == manifest and not (folder / "data/processed").exists()


def test_a_source_that_is_gone_is_named_once_and_the_manifest_stays(project, capfd):
    manifest = stage(download.main, project)
    shutil.rmtree(project.parent / "photos")
    with pytest.raises(SystemExit) as end:
        stage(preprocess.main, project)
    assert end.value.code == 1 and capfd.readouterr().err == "error: ../photos: expected a folder, found no folder\n"
    assert (project / "data/raw/rhd.json").read_bytes() == manifest


def test_sources_are_seen_from_the_workspace_and_addresses_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert workspace.folder() == Path() and workspace.source("../a/") == "../a/"
    for aside in (".dvc/tmp/exps/tmpabc/below", ".grid/workers/0"):
        (tmp_path / aside).mkdir(parents=True)
        monkeypatch.chdir(tmp_path / aside)
        assert workspace.folder() == tmp_path
    sources = workspace.source(["a.zip", "/b.zip", "https://c.de/d.zip", "~/e.zip"])
    assert sources == [str(tmp_path / "a.zip"), "/b.zip", "https://c.de/d.zip", "~/e.zip"]
