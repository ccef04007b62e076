"""The repository's own models: they load, have cards, and the demo shows what they make of fresh synthetic hands."""

import re
from pathlib import Path

import pytest
import yaml

from handvae.detection.detect import Detector
from handvae.prediction import models, portable
from stages import demo
from tests.conftest import REPOSITORY
from tests.test_training import CPU

FILES = sorted((REPOSITORY / models.SHIPPED).glob(f"*{models.SUFFIX}"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_model_loads_and_its_card_tells_of_it(file):
    card = file.with_suffix(".md").read_text()
    assert card.splitlines()[2].startswith(f"# {file.stem}: ") and "| commit | " in card and "synthetic hands" in card
    if file.stem == models.DETECTOR:
        assert Detector.load(file).settings.picture_px > 0
    else:
        settings = portable.load(file, CPU).settings
        assert settings.name == file.stem and f"| {settings.training.steps:,} of {settings.training.batch_size}" in card
    assert file.stat().st_size < 12e6


def test_dvc_lists_every_model():
    artifacts = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["artifacts"]
    assert {REPOSITORY / artifact["path"] for artifact in artifacts.values()} == set(FILES)
    assert all(
        Path(artifact["path"]).stem == name and artifact["type"] == "model" for name, artifact in artifacts.items()
    )


def test_the_demo_shows_hands_of_every_set_and_their_errors_are_those_of_models_that_have_learned(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(REPOSITORY)
    demo.main("--out", str(tmp_path / "demo"), "--no-browser")
    page = (tmp_path / "demo/index.html").read_text()
    captions = re.findall("<figcaption>([^<]*)<", page)
    assert len(captions) == demo.HANDS * len(demo.MODELS) == page.count('src="data:image/jpeg')
    errors_mm = [float(error) for error in re.findall(r"mean error (\d+) mm", " ".join(captions))]
    assert len(errors_mm) >= 12 and sorted(errors_mm)[len(errors_mm) // 2] < 25
    assert 'href="latent.html"' in page and Path(tmp_path / "demo/latent.html").stat().st_size > 1e6
    assert "http" not in re.sub('data:[^"]*', "", page)
