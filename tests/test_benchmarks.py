"""`make bench` runs to its end: every part of it at profile `tiny`, with few images and rounds."""

import subprocess

import pytest

from benchmarks import bench, preprocessing, training
from handvae.base import params
from handvae.datasets.sets import DATASETS
from tests.conftest import REPOSITORY

SIZES = {"rhd": {"training": 2, "evaluation": 2, "image_px": 64}, "stb": {"sequence": 1, "background_frames": 25}}
SIZES |= {"icvl": {"training": 2, "evaluation": 2}, "nyu": {"training": 2, "evaluation": 2}, "msra": {"gesture": 1}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A repository that holds nothing but params.yaml, at profile tiny; preprocessing looks at two sets."""
    text = (REPOSITORY / "params.yaml").read_text().replace("\nprofile: small", "\nprofile: tiny")
    (tmp_path / "params.yaml").write_text(text)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "tiny"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "RENDERED", 24)
    monkeypatch.setattr(training, "ROUNDS", 1)
    monkeypatch.setattr(preprocessing, "TENTH", {"icvl": 2})
    monkeypatch.setattr(preprocessing, "PROFILE", "tiny")
    monkeypatch.setattr(preprocessing, "REPEATS", 1)
    return tmp_path


def test_the_benchmark_prints_a_row_of_every_part(folder, monkeypatch, capsys):
    monkeypatch.setattr(bench, "PIPELINE", ["git", "status"])  # the pipeline itself is for tests/test_pipeline.py
    bench.main()
    table = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    parts = [row[0].removeprefix("| ") for row in table[2:]]
    assert all(len(row) == 4 for row in table)
    assert parts[0].startswith("rendering, 320 px") and parts[-2:] == [
        "dvc repro from nothing",
        "dvc repro with nothing to do",
    ]
    kinds = {(row.input, row.encoder) for row in params.load().experiments.values()}
    loops = [params.load().experiments[part.split(", ")[1]] for part in parts if part.startswith("training loop")]
    assert {(row.input, row.encoder) for row in loops} == kinds and len(loops) < len(params.load().experiments)
    assert "icvl, 32 and 320 images: largest process" in parts


@pytest.mark.parametrize("name", DATASETS)
def test_a_larger_set_has_as_many_times_the_images(name, tmp_path):
    from handvae.synthetic.generate import generate

    generate(name, tmp_path / "set", SIZES[name], 0, 1)
    preprocessing.LARGER[name](tmp_path / "set", tmp_path / "larger", 3)
    assert preprocessing.images(name, tmp_path / "larger") == 3 * preprocessing.images(name, tmp_path / "set")
