import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from handvae.base.errors import InputError
from handvae.datasets import rhd
from stages import download
from tests.conftest import REAL, needs_real

ROOT = Path(__file__).resolve().parents[1]
K = np.array([[280.0, 0, 32], [0, 280.0, 24], [0, 0, 1]])
SIZES = {"training": 2, "evaluation": 1, "image_px": 64}


def write_set(root: Path, frames: dict[str, int], seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    for split, count in frames.items():
        xyz_m = rng.uniform([-0.05, -0.04, 0.5], [0.05, 0.04, 0.7], (count, 42, 3))
        projected = xyz_m @ K.T
        uv_vis = np.concatenate([projected[..., :2] / projected[..., 2:], np.ones((count, 42, 1))], axis=-1)
        rhd.write_annotations(root / split, uv_vis, xyz_m, np.broadcast_to(K, (count, 3, 3)))
        for index in range(count):
            color_u8 = rng.integers(0, 256, (48, 64, 3)).astype(np.uint8)
            rhd.write_frame(root / split, index, color_u8, np.full((48, 64), 2, np.uint8), np.ones((48, 64)))


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Settings as the stage reads them; the working folder is empty."""
    monkeypatch.chdir(tmp_path)
    source = SimpleNamespace(source="own", sha256=None, seed=7)
    profile = SimpleNamespace(synthetic={"rhd": SIZES})
    settings = SimpleNamespace(data={"rhd": source}, profile=profile)
    monkeypatch.setattr(download.params, "load", lambda: settings)
    return settings


def manifest() -> dict:
    return json.loads(Path("data/raw/rhd.json").read_text())


def test_a_folder_stays_where_it_is_and_the_manifest_says_what_it_holds(settings, capsys):
    write_set(Path("own"), {"training": 3, "evaluation": 2})
    download.main("rhd")
    found = manifest()
    assert (found["kind"], found["description"], found["root"], found["published"]) == (
        "folder",
        "own (RHD's layout)",
        "own",
        False,
    )
    assert found["splits"] == rhd.inspect(Path("own"))["splits"]
    assert sorted(os.listdir("data/raw")) == ["rhd.json"]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "training 3, evaluation 2" in lines[1]


def test_the_manifest_changes_with_the_labels_and_the_images_only(settings):
    write_set(Path("own"), {"training": 3, "evaluation": 2})
    download.main("rhd")
    first = Path("data/raw/rhd.json").read_bytes()
    download.main("rhd")
    assert Path("data/raw/rhd.json").read_bytes() == first
    write_set(Path("own"), {"training": 3, "evaluation": 2}, seed=1)
    download.main("rhd")
    assert Path("data/raw/rhd.json").read_bytes() != first


def test_an_archive_is_unpacked_beside_the_synthetic_set(settings):
    write_set(Path("RHD/set"), {"training": 3, "evaluation": 2})
    with zipfile.ZipFile("set.zip", "w") as archive:
        for path in sorted(Path("RHD").rglob("*")):
            archive.write(path, path.relative_to("RHD"))
    settings.data["rhd"].source = "set.zip"
    download.main("rhd")
    assert manifest()["kind"] == "archive" and manifest()["root"] == "data/raw/unpacked/rhd/set"
    assert manifest()["splits"] == rhd.inspect(Path("RHD/set"))["splits"]


def test_synthetic_hands_are_made_with_the_seed_and_sizes_of_the_parameters(settings, monkeypatch):
    generate = pytest.importorskip("handvae.synthetic.generate")
    calls = []

    def make(name, root, sizes, seed, processes):
        calls.append((name, root, sizes, seed))
        write_set(root, {"training": 2, "evaluation": 1}, seed)

    monkeypatch.setattr(generate, "generate", make)
    settings.data["rhd"].source = "synthetic"
    download.main("rhd")
    assert calls == [("rhd", Path("data/raw/rhd"), SIZES, 7)]
    assert manifest()["kind"] == "synthetic" and "seed 7" in manifest()["description"]


def test_a_synthetic_set_of_full_size_is_not_the_published_one(settings, monkeypatch):
    generate = pytest.importorskip("handvae.synthetic.generate")
    counts = {"training": 2, "evaluation": 1}
    monkeypatch.setattr(generate, "generate", lambda name, root, sizes, seed, processes: write_set(root, counts))
    monkeypatch.setattr(rhd, "PUBLISHED_COUNTS", {"training": 2, "evaluation": 1})
    settings.data["rhd"].source = "synthetic"
    download.main("rhd")
    assert manifest()["published"] is False
    settings.data["rhd"].source = "data/raw/rhd"
    download.main("rhd")
    assert manifest()["published"] is True


def test_a_bad_source_leaves_no_manifest_old_or_new(settings):
    with pytest.raises(InputError, match="own: expected a folder"):
        download.main("rhd")
    write_set(Path("own"), {"training": 3, "evaluation": 2})
    os.unlink("own/evaluation/mask/00001.png")
    with pytest.raises(
        InputError, match=r"mask: expected 00000.png to 00001.png as there are 2 annotations, found no 00001\.png"
    ):
        download.main("rhd")
    assert not Path("data").exists()
    write_set(Path("other"), {"training": 1, "evaluation": 1})
    settings.data["rhd"].source = "other"
    download.main("rhd")
    settings.data["rhd"].source = "own"
    with pytest.raises(
        InputError, match=r"mask: expected 00000.png to 00001.png as there are 2 annotations, found no 00001\.png"
    ):
        download.main("rhd")
    assert not Path("data/raw/rhd.json").exists()


@pytest.mark.parametrize("arguments", [[], ["rhd", "rhd"]])
def test_wrong_usage_ends_in_one_line_and_exit_code_1(arguments):
    command = [sys.executable, "-m", "stages.download", *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 1 and ran.stdout == ""
    assert "Usage: python -m stages.download rhd|stb|icvl|nyu|msra" in ran.stderr and ran.stderr.count("\n") == 1


@needs_real
def test_the_photographs_are_downloaded_as_a_program(tmp_path):
    text = (ROOT / "params.yaml").read_text()
    assert "    source: synthetic" in text
    (tmp_path / "params.yaml").write_text(text.replace("    source: synthetic", f"    source: {REAL / 'photos'}"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "stages.download", "rhd"]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "data" / "raw" / "rhd.json").read_text())
    assert {split: facts["frames"] for split, facts in found["splits"].items()} == {"training": 180, "evaluation": 57}
