"""Raw data that is gone comes back where it is needed; outside of the workspace relative paths still mean the same."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from handvae.base import workspace
from tests.conftest import REPOSITORY
from tests.test_download import write_set


def stage(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def done(folder: Path, *arguments: str) -> str:
    result = stage(folder, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def project(tmp_path):
    """A folder with params.yaml at profile tiny; RHD from a folder beside it, given by a relative path."""
    folder = tmp_path / "project"
    folder.mkdir()
    text = (REPOSITORY / "params.yaml").read_text().replace("\nprofile: small", "\nprofile: tiny")
    (folder / "params.yaml").write_text(text.replace("\n    source: synthetic", "\n    source: ../photos", 1))
    write_set(tmp_path / "photos", {"training": 3, "evaluation": 2})
    return folder


def synthetic(folder: Path) -> None:
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("\n    source: ../photos", "\n    source: synthetic"))


def outside(project: Path) -> Path:
    """What DVC makes for `--temp` and its queue: what git and DVC track, no raw data."""
    folder = project / ".dvc/tmp/exps/tmpabc"
    (folder / "data/raw").mkdir(parents=True)
    for name in ("params.yaml", "data/raw/rhd.json"):
        if (project / name).exists():
            shutil.copy(project / name, folder / name)
    return folder


def processed(folder: Path) -> str:
    return hashlib.sha256((folder / "data/processed/rhd.h5").read_bytes()).hexdigest()


def test_raw_data_that_was_deleted_is_rendered_again_to_the_same_bytes(project):
    synthetic(project)
    done(project, "stages.download", "rhd")
    done(project, "stages.preprocess", "rhd")
    before, manifest = processed(project), (project / "data/raw/rhd.json").read_bytes()
    shutil.rmtree(project / "data/raw/rhd")
    lines = done(project, "stages.preprocess", "rhd").splitlines()
    assert len([line for line in lines if "bringing the raw data again" in line]) == 1
    assert processed(project) == before and (project / "data/raw/rhd.json").read_bytes() == manifest


def test_outside_of_the_workspace_its_raw_data_is_read_and_a_relative_source_is_the_workspaces(project):
    done(project, "stages.download", "rhd")
    done(project, "stages.preprocess", "rhd")
    experiment = outside(project)
    assert "again" not in done(experiment, "stages.preprocess", "rhd")
    assert processed(experiment) == processed(project)
    (experiment / "data/raw/rhd.json").unlink()
    done(experiment, "stages.download", "rhd")
    assert (experiment / "data/raw/rhd.json").read_bytes() == (project / "data/raw/rhd.json").read_bytes()
    assert processed(experiment) == processed(project)


def test_outside_of_a_workspace_without_raw_data_it_is_rendered(project):
    synthetic(project)
    done(project, "stages.download", "rhd")
    done(project, "stages.preprocess", "rhd")
    shutil.rmtree(project / "data/raw/rhd")
    experiment = outside(project)
    assert "bringing the raw data again" in done(experiment, "stages.preprocess", "rhd")
    assert processed(experiment) == processed(project) and not (project / "data/raw/rhd").exists()


@pytest.mark.parametrize("outside_of_workspace", [False, True])
def test_other_data_than_was_tracked_is_refused_in_one_line_and_the_manifest_stays(project, outside_of_workspace):
    done(project, "stages.download", "rhd")
    folder = outside(project) if outside_of_workspace else project
    manifest = (folder / "data/raw/rhd.json").read_bytes()
    write_set(project.parent / "photos", {"training": 3, "evaluation": 2}, seed=1)
    result = stage(folder, "stages.preprocess", "rhd")
    (line,) = result.stderr.splitlines()
    assert result.returncode == 1 and "expected the raw data that data/raw/rhd.json describes, found other data" in line
    assert "`dvc repro -f download@rhd`" in line and (f"in {project}" in line) == outside_of_workspace
    assert (folder / "data/raw/rhd.json").read_bytes() == manifest and not (folder / "data/processed").exists()


def test_a_source_that_is_gone_is_named_once_and_the_manifest_stays(project):
    done(project, "stages.download", "rhd")
    manifest = (project / "data/raw/rhd.json").read_bytes()
    shutil.rmtree(project.parent / "photos")
    result = stage(project, "stages.preprocess", "rhd")
    assert result.returncode == 1 and result.stderr == "error: ../photos: expected a folder, found no folder\n"
    assert (project / "data/raw/rhd.json").read_bytes() == manifest


def test_sources_are_seen_from_the_workspace_and_addresses_stay(tmp_path, monkeypatch):
    (folder := tmp_path / ".dvc/tmp/exps/tmpabc/below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert workspace.folder() == Path() and workspace.source("../a/") == "../a/"
    monkeypatch.chdir(folder)
    assert workspace.folder() == tmp_path
    found = workspace.source(["a.zip", "/b.zip", "https://c.de/d.zip", "~/e.zip"])
    assert found == [str(tmp_path / "a.zip"), "/b.zip", "https://c.de/d.zip", "~/e.zip"]
