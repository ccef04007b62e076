"""What a user sees when something is wrong: one line, exit code 1, no traceback, nothing half-written."""

import json
import os
import runpy
import shutil
import statistics
import subprocess
import sys

import pytest
import yaml

from handvae.preprocessing import store
from stages import evaluate, train
from tests.conftest import REAL, REPOSITORY, needs_real
from tests.test_batches import write_hands


@pytest.fixture
def folder(tmp_path):
    params = (REPOSITORY / "params.yaml").read_text().replace("\nprofile: small", "\nprofile: tiny")
    (tmp_path / "params.yaml").write_text(params)
    return tmp_path


def change(folder, old, new):
    text = (folder / "params.yaml").read_text()
    assert old in text
    (folder / "params.yaml").write_text(text.replace(old, new, 1))


def stage(folder, *arguments):
    """The one line that the stage ends with."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", *arguments]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert not list(folder.rglob("*.partial")) and not (folder / "models").exists()
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and result.stderr.splitlines()[-1] == lines[0]
    return lines[0]


def test_wrong_usage_prints_the_usage(folder):
    assert "Usage: python -m stages.preprocess rhd" in stage(folder, "stages.preprocess")
    assert "Usage: python -m stages.train [name" in stage(folder, "stages.train", "a", "b")
    assert "no experiment 'rhd-rgb-v9'" in stage(folder, "stages.train", "rhd-rgb-v9")
    assert "expected one of rhd, stb, icvl, nyu, msra, found 'hands'" in stage(folder, "stages.preprocess", "hands")


PROGRAMS = [f"stages.{path.stem}" for path in sorted((REPOSITORY / "stages").glob("[a-z]*.py"))]


@pytest.mark.parametrize("program", [*PROGRAMS, "benchmarks.bench"])
def test_every_program_prints_its_usage_and_refuses_arguments_that_it_does_not_know(
    program, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, program, raising=False)
    monkeypatch.setattr(sys, "argv", [program, "--help"])
    runpy.run_module(program, run_name="__main__")
    assert f"Usage: python -m {program}" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [program, *(f"--unknown-{number}" for number in range(5))])
    with pytest.raises(SystemExit) as refused:
        runpy.run_module(program, run_name="__main__")
    assert f"Usage: python -m {program}" in str(refused.value) and "\n" not in str(refused.value)
    assert capsys.readouterr().out == "" and list(tmp_path.iterdir()) == []


def test_a_misspelt_parameter_is_named(folder):
    change(folder, "kl_weight:", "kl_wieght:")
    assert "missing: kl_weight; unknown: kl_wieght" in stage(folder, "stages.train")


def test_a_source_folder_without_the_files_is_named_with_what_was_expected(folder):
    (folder / "empty").mkdir()
    change(folder, "\n    source: synthetic", "\n    source: empty")
    assert "empty" in (line := stage(folder, "stages.download", "rhd")) and "anno_training.pickle" in line
    assert not (folder / "data/raw/rhd.json").exists()


def test_missing_input_names_the_command_that_makes_it(folder):
    assert "expected the manifest that download writes" in stage(folder, "stages.preprocess", "rhd")
    assert "data/processed/rhd.h5: expected the preprocessed dataset" in stage(folder, "stages.train")
    assert "models/experiment/settings.json: expected a trained model" in stage(folder, "stages.evaluate")


def test_a_checkpoint_of_other_settings_is_named(folder):
    (folder / "data/processed").mkdir(parents=True)
    write_hands(folder / "data/processed/rhd.h5")
    (folder / "checkpoints").mkdir()
    shutil.copy(folder / "data/processed/rhd.h5", folder / "checkpoints/experiment.pt")
    assert "checkpoints/experiment.pt: expected a file of tensors" in stage(folder, "stages.train")


def test_a_row_of_three_seeds_has_three_models_and_the_mean_and_deviation_of_their_errors(folder, monkeypatch):
    monkeypatch.chdir(folder)
    change(folder, "\nseeds: 1", "\nseeds: 3")
    (folder / "data/processed").mkdir(parents=True)
    facts = {"source": "made up", "synthetic": True, "published": False, "skeleton": "hand21"}
    write_hands(folder / "data/processed/rhd.h5", count=12, groups=("train", "test"), **facts)
    train.main("rhd-2d-v1")
    evaluate.main("rhd-2d-v1")
    found = json.loads((folder / "reports/metrics/rhd-2d-v1.json").read_text())
    models = [folder / "models/rhd-2d-v1" / part for part in (".", "seed-1", "seed-2")]
    assert len({(model / "weights.pt").read_bytes() for model in models}) == 3
    settings = [json.loads((model / "settings.json").read_text())["settings"] for model in models]
    assert [one["experiment"]["seed"] for one in settings] == [0, 1, 2]
    alone = []
    for seed in (0, 1, 2):  # each as a row of its own
        change(folder, "\nseeds: 1" if seed else "\nseeds: 3", "\nseeds: 1")
        row = "rhd-2d-v1: {dataset: rhd, input: joints_2d, variant: 1, invariances: T+S+H, encoder: resnet18, seed: "
        change(folder, row + str(max(seed - 1, 0)), row + str(seed))
        train.main("rhd-2d-v1")
        evaluate.main("rhd-2d-v1")
        alone.append(json.loads((folder / "reports/metrics/rhd-2d-v1.json").read_text()))
    assert "seeds" not in alone[0] and found["seeds"] == 3 and found["epe_mean_mm"] == alone[0]["epe_mean_mm"]
    for key in ("epe_mean_mm", "epe_median_mm"):
        values = [one[key] for one in alone]
        assert found[f"seeds_{key}"] == pytest.approx(sum(values) / 3, abs=2e-4)
        assert found[f"seeds_{key}_sd"] == pytest.approx(statistics.stdev(values), abs=2e-4)


FULL_DISK = """
import pathlib
from stages import run, train
pathlib.Path.write_bytes = lambda path, data: open("/dev/full", "wb").write(data)
run(train.main)
"""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a file on a full disk")
def test_a_full_disk_is_named_and_leaves_nothing(folder):
    (folder / "data/processed").mkdir(parents=True)
    write_hands(folder / "data/processed/rhd.h5")
    script = folder / "full_disk.py"
    script.write_text(FULL_DISK)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run([sys.executable, script], cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 1 and "No space left on device" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr and not (folder / "models/experiment").exists()


@needs_real
def test_the_real_stb_labels_train_a_2d_to_3d_model_through_the_stages(folder):
    """Frames 0 to 1,199 of the one real sequence for training, the rest for testing; a few steps suffice to learn."""
    tree = yaml.safe_load((folder / "params.yaml").read_text())
    tree |= {"dataset": "stb", "input": "joints_2d"}
    tree["data"]["stb"]["source"] = str(REAL / "stb")
    tree["data"]["stb"]["protocol"] |= {
        "training": ["B1Counting:0-1199"],
        "evaluation": ["B1Counting:1200-1499"],
        "images": False,
    }
    tree["profiles"]["tiny"]["training"]["joints_2d"] |= {"steps": 320, "batch_size": 64}
    (folder / "params.yaml").write_text(yaml.safe_dump(tree))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    for program in (["download", "stb"], ["preprocess", "stb"], ["train"], ["evaluate"]):
        command = [sys.executable, "-m", f"stages.{program[0]}", *program[1:]]
        result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
    found = json.loads((folder / "reports/metrics.json").read_text())
    assert (found["frames"], found["previous_frame_frames"]) == (600, 598)  # both views of 300 frames
    assert found["epe_mean_mm"] < 0.75 * found["mean_pose_epe_mm"]
    assert 2 < found["previous_frame_epe_mm"] < 3  # the hand moves little from frame to frame: no model beats that here
    assert "600 test labelled hands without images" in store.attributes(folder / "data/processed/stb.h5")["source"]
