"""What a user sees when something is wrong: one line, exit code 1, no traceback, nothing half-written."""

import contextlib
import json
import os
import re
import runpy
import shutil
import signal
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml

from handvae.base import params
from handvae.model import devices
from handvae.preprocessing import store
from handvae.report.predictions import read_arrays, read_frames
from handvae.report.results import read_results
from stages import evaluate, run, train
from tests.conftest import REAL, REPOSITORY, needs_real
from tests.test_batches import write_hands

CPU = torch.device("cpu")


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


@pytest.mark.parametrize("program", [*PROGRAMS, "benchmarks.bench", "benchmarks.growth"])
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


def test_a_profile_for_a_gpu_trains_on_a_cpu_only_if_asked_to(folder, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    change(folder, "\nprofile: tiny", "\nprofile: paper")
    line = stage(folder, "stages.train", "rhd-rgb-v1")
    assert line.startswith("error: params.yaml: this profile expects a GPU") and "-S device=cpu" in line
    # a model trained elsewhere may be evaluated here
    assert "models/rhd-rgb-v1/settings.json: expected" in stage(folder, "stages.evaluate", "rhd-rgb-v1")
    change(folder, "\ndevice: auto", "\ndevice: cpu")
    assert "data/processed/rhd.h5: expected the preprocessed" in stage(folder, "stages.train", "rhd-rgb-v1")
    change(folder, "\ndevice: cpu", "\ndevice: cuda")
    change(folder, "\nprofile: paper", "\nprofile: tiny")
    for program in ("stages.train", "stages.evaluate"):
        assert "params.yaml: device: cuda expects a GPU, torch finds none" in stage(folder, program)


def interrupted(folder, number):
    """What a training says on a terminal, whose progress line shows that steps are done, when it gets the signal."""
    terminal, end = os.openpty()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.train"],
        cwd=folder,
        env=environment,
        stderr=end,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in what runs in the background
    )
    os.close(end)
    seen = b""
    while b" gone, " not in seen:
        seen += os.read(terminal, 4096)
    process.send_signal(number)
    with contextlib.suppress(OSError):  # that is how Linux says that the other end is closed
        while part := os.read(terminal, 4096):
            seen += part
    os.close(terminal)
    assert process.wait() == 1
    return seen.decode().split("\r\n")[:-1]


def test_a_training_that_is_interrupted_early_says_what_is_true_and_goes_on(folder, monkeypatch):
    """Long before a checkpoint is due."""
    change(folder, "\ninput: rgb", "\ninput: joints_2d")
    tree = yaml.safe_load((folder / "params.yaml").read_text())
    tree["profiles"]["tiny"]["training"]["joints_2d"]["steps"] = 1200
    (folder / "params.yaml").write_text(yaml.safe_dump(tree))
    (folder / "data/processed").mkdir(parents=True)
    write_hands(folder / "data/processed/rhd.h5")
    monkeypatch.chdir(folder)
    train.main()
    unbroken = (folder / "models/experiment/weights.pt").read_bytes()
    assert not (folder / "checkpoints/experiment").exists()
    shutil.rmtree(folder / "models")
    steps = []
    for number in (signal.SIGINT, signal.SIGTERM):
        first, *_, last = interrupted(folder, number)
        assert first.endswith(f", goes on from step {steps[-1]} of 1,200" if steps else f"{devices.described(CPU)}")
        steps += re.fullmatch(r"interrupted at step (\d+) of 1,200; the same command goes on from here", last).groups()
        assert not (folder / "models").exists()
    train.main()
    assert (folder / "models/experiment/weights.pt").read_bytes() == unbroken and int(steps[0]) < int(steps[1])


def test_a_stage_that_is_interrupted_promises_nothing():
    def main():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == "interrupted; run the same command again"


def test_missing_input_names_the_command_that_makes_it(folder):
    assert "expected the manifest that download writes" in stage(folder, "stages.preprocess", "rhd")
    assert "data/processed/rhd.h5: expected the preprocessed dataset" in stage(folder, "stages.train")
    assert "models/experiment/settings.json: expected a trained model" in stage(folder, "stages.evaluate")


def test_a_checkpoint_of_other_settings_is_named(folder):
    (folder / "data/processed").mkdir(parents=True)
    write_hands(folder / "data/processed/rhd.h5")
    (folder / "checkpoints/experiment").mkdir(parents=True)
    shutil.copy(folder / "data/processed/rhd.h5", folder / "checkpoints/experiment/seed-0.pt")
    assert "checkpoints/experiment/seed-0.pt: expected a file of tensors" in stage(folder, "stages.train")


def test_a_row_of_three_seeds_has_three_models_whose_numbers_the_report_reads_from_its_file(folder, monkeypatch):
    """By the profile's number for repeated rows; alone each is the same as a row of its own."""
    monkeypatch.chdir(folder)
    text = (folder / "params.yaml").read_text().replace("repeated_seeds: 1", "repeated_seeds: 3")
    (folder / "params.yaml").write_text(text)
    (folder / "data/processed").mkdir(parents=True)
    facts = {"source": "made up", "synthetic": True, "published": False, "skeleton": "hand21"}
    write_hands(folder / "data/processed/rhd.h5", count=12, groups=("train", "test"), **facts)
    train.main("rhd-2d-v1")
    evaluate.main("rhd-2d-v1")
    found = json.loads((folder / "reports/metrics/rhd-2d-v1.json").read_text())
    curve = (folder / "reports/metrics/rhd-2d-v1_pck.csv").read_text()
    models = [folder / "models/rhd-2d-v1" / part for part in (".", "seed-1", "seed-2")]
    assert len({(model / "weights.pt").read_bytes() for model in models}) == 3
    settings = [json.loads((model / "settings.json").read_text())["settings"] for model in models]
    assert [one["experiment"]["seed"] for one in settings] == [0, 1, 2]
    loaded = params.load()
    paths = [Path(f"data/predictions/rhd-2d-v1{end}.h5") for end in ("", "-0", "-1", "-2")]
    files = paths[0], Path("reports/metrics/rhd-2d-v1.json")
    (together,) = read_results(*files, "rhd-2d-v1", loaded.experiment("rhd-2d-v1"), loaded.profile_name)
    paths[0].rename("together.h5")
    together = replace(together, predictions=Path("together.h5"))
    alone, curves = [], []
    for seed in (0, 1, 2):  # each as a row of its own
        row = "rhd-2d-v1: {dataset: rhd, input: joints_2d, variant: 1"
        change(folder, row + (f", seed: {seed - 1}" if seed else ", repeated: true"), row + f", seed: {seed}")
        train.main("rhd-2d-v1")
        evaluate.main("rhd-2d-v1")
        paths[0].rename(paths[1 + seed])
        alone.append(json.loads((folder / "reports/metrics/rhd-2d-v1.json").read_text()))
        curves.append(np.loadtxt("reports/metrics/rhd-2d-v1_pck.csv", delimiter=",", skiprows=1))
    assert "seeds" not in alone[0] and found["seeds"] == together.seeds == 3
    for key in ("epe_mean_mm", "epe_median_mm", "epe_mean_all_joints_mm", "epe_median_all_joints_mm", "auc_20_50"):
        values = [one[key] for one in alone]
        assert found[key] == pytest.approx(sum(values) / 3, abs=2e-4)
        assert found[f"{key}_sd"] == pytest.approx(statistics.stdev(values), abs=2e-4)
        assert found[f"{key}_low"] <= found[key] <= found[f"{key}_high"]
    np.testing.assert_allclose(np.loadtxt(curve.splitlines(), delimiter=",", skiprows=1), np.mean(curves, 0), atol=2e-4)
    # what the report reads of each seed is what that seed's model alone gives
    frames = read_frames([together])
    for seed, path in enumerate(paths[1:]):
        single = replace(together, predictions=path, metrics=alone[seed])
        np.testing.assert_array_equal(read_frames([single]).errors_mm[0], frames.errors_mm[seed])
        for name in ("latent/mu_joints_2d", "latent/posterior_spread_mm"):
            of_seed, of_single = (read_arrays(one, name, seed=s)[0] for one, s in ((together, seed), (single, 0)))
            np.testing.assert_array_equal(of_seed, of_single)


def test_a_video_is_evaluated_by_blocks_of_as_many_frames_as_params_says(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "data/processed").mkdir(parents=True)
    change(folder, "synthetic_block_frames: 1\n", "synthetic_block_frames: 3\n")
    change(folder, "block_frames: 100", "block_frames: 4")
    for synthetic, blocks in ((True, 4), (False, 3)):
        facts = {"source": "made up", "synthetic": synthetic, "published": False, "skeleton": "hand21"}
        write_hands(folder / "data/processed/rhd.h5", count=24, groups=("train", "test"), **facts)
        with h5py.File("data/processed/rhd.h5", "r+") as file:  # both views of twelve frames
            file["test/moment"][:] = [f"B1Counting/{row // 2:04d}" for row in range(24)]
            file["test/sequence"][:] = [f"B1Counting {('left', 'right')[row % 2]}" for row in range(24)]
            file["test/frame"][:] = np.arange(24) // 2
        train.main("rhd-2d-v1")
        evaluate.main("rhd-2d-v1")
        found = json.loads((folder / "reports/metrics/rhd-2d-v1.json").read_text())
        assert (found["frames"], found["blocks"]) == (24, blocks)
        with h5py.File("data/predictions/rhd-2d-v1.h5") as file:
            assert file["block"][:].tolist() == np.repeat(range(blocks), 24 // blocks).tolist()
            assert file["moment"].asstr()[3] == "B1Counting/0001" and file["frame"][3] == 1
            assert file["sequence"].asstr()[3] == "B1Counting right"
        shutil.rmtree("models")


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


def test_a_comment_in_dvcs_command_is_none_on_windows_either(capsys):
    seen = []
    run(lambda *arguments: seen.append(arguments), "rhd-2d-v1", "#", "--dataset", "rhd", "--help")
    assert seen == [("rhd-2d-v1",)] and capsys.readouterr().out == ""
