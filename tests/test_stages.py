"""What a user sees of the stages: their numbers; and when something is wrong one line, and nothing half-written."""

import functools
import importlib
import json
import operator
import os
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
from handvae.model import devices, training
from handvae.preprocessing import store
from handvae.report.predictions import read_arrays, read_frames, read_results
from stages import download, evaluate, preprocess, run, train
from tests.conftest import REAL, REPOSITORY, needs_real
from tests.test_batches import write_hands

METRICS = Path("data/metrics/rhd-2d-v1.json")
FACTS = {"source": "made up", "synthetic": True, "published": False, "skeleton": "hand21"}


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A folder with params.yaml at profile `tiny`, in which stages run."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(REPOSITORY / "params.yaml", "params.yaml")
    set_params({"profile": "tiny"})
    Path("data/processed").mkdir(parents=True)


def set_params(changes):
    tree = yaml.safe_load(Path("params.yaml").read_text())
    for name, value in changes.items():
        *sections, key = name.split(".")
        functools.reduce(operator.getitem, sections, tree)[key] = value
    Path("params.yaml").write_text(yaml.safe_dump(tree))


def last_line(main, *arguments):
    """The one line that a stage ends with where it does not finish."""
    with pytest.raises(SystemExit) as ended:
        run(main, *arguments)
    assert "\n" not in ended.value.code
    assert not list(Path().rglob("*.partial")) and not Path("models").exists()
    return ended.value.code


PROGRAMS = [f"stages.{path.stem}" for path in sorted((REPOSITORY / "stages").glob("[a-z]*.py"))]


@pytest.mark.parametrize("program", [*PROGRAMS, "benchmarks.bench", "benchmarks.growth", "benchmarks.learning"])
def test_every_program_says_what_it_does_and_refuses_words_that_it_does_not_know_before_it_does_anything(
    program, tmp_path, monkeypatch, capsys
):
    """In an empty folder, where a program that ran would find no params.yaml."""
    monkeypatch.chdir(tmp_path)

    def ended(*words):
        monkeypatch.delitem(sys.modules, program, raising=False)
        monkeypatch.setattr(sys, "argv", [program, *words])
        with pytest.raises(SystemExit) as end:
            runpy.run_module(program, run_name="__main__")
        assert list(tmp_path.iterdir()) == []
        return end.value.code, capsys.readouterr()

    for words in (["--help"], ["-h"], ["icvl", "--help"]):
        code, said = ended(*words)
        described = importlib.import_module(program).__doc__
        assert code == 0 and said.err == ""
        assert said.out.startswith(f"usage: python -m {program} [-h]") and described.strip() in said.out
    for words in (["--unknown"], [f"unknown-{number}" for number in range(5)] + ["--workers", "two"]):
        line, said = ended(*words)
        assert line.startswith(f"error: {program}: ") and f"; usage: python -m {program} [-h]" in line
        assert "\n" not in line and said.out == said.err == ""


def test_outside_the_environment_a_program_says_so_in_one_line():
    def started(*words):  # -S: no packages
        return subprocess.run([sys.executable, "-S", *words], cwd=REPOSITORY, capture_output=True, text=True)

    for program in ("stages.train", "stages.grid", "stages.doctor"):
        ran = started("-m", program)
        assert ran.returncode == 1 and ran.stdout == "" and ran.stderr.count("\n") == 1
        assert ran.stderr.startswith(f"error: {sys.executable} has no package ") and "make setup" in ran.stderr
    assert "Traceback" in started("-c", "import stages, handvae.base.no_module").stderr  # a defect of this project


@pytest.mark.parametrize(
    ("main", "arguments", "message"),
    [
        (train.main, ["rhd-rgb-v9"], "params.yaml: no experiment 'rhd-rgb-v9'"),
        (download.main, ["rhd"], "anno_training.pickle"),
        (preprocess.main, ["hands"], "stages.preprocess: argument set: invalid choice: 'hands' (choose from "),
        (preprocess.main, ["rhd"], "expected the manifest that download writes"),
        (train.main, [], "data/processed/rhd.h5: expected the preprocessed dataset"),
        (evaluate.main, [], "models/experiment/settings.json: expected a trained model"),
    ],
)
def test_wrong_names_and_missing_input_are_named_with_what_was_expected(workspace, main, arguments, message):
    set_params({"data.rhd.source": "data"})
    line = last_line(main, *arguments)
    assert line.startswith("error: ") and message in line and not Path("data/raw/rhd.json").exists()


def test_a_profile_for_a_gpu_trains_on_a_cpu_only_if_asked_to(workspace, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    set_params({"profile": "paper"})
    line = last_line(train.main, "rhd-rgb-v1")
    assert line.startswith("error: params.yaml: this profile expects a GPU") and "-S device=cpu" in line
    # a model trained elsewhere may be evaluated here
    assert "models/rhd-rgb-v1/settings.json: expected" in last_line(evaluate.main, "rhd-rgb-v1")
    set_params({"device": "cpu"})
    assert "data/processed/rhd.h5: expected the preprocessed" in last_line(train.main, "rhd-rgb-v1")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a file on a full disk")
def test_a_full_disk_is_named_and_leaves_nothing(workspace, monkeypatch):
    def write_bytes(_, content):
        with open("/dev/full", "wb") as file:
            file.write(content)

    write_hands("data/processed/rhd.h5")
    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    assert "No space left on device" in last_line(train.main)


def test_an_interrupted_training_saves_says_so_and_goes_on_to_the_same_bytes(workspace, monkeypatch, capsys):
    """Long before a checkpoint is due."""
    set_params({"input": "joints_2d", "profiles.tiny.training.joints_2d.steps": 40})
    write_hands("data/processed/rhd.h5")
    run(train.main)
    unbroken = Path("models/experiment/weights.pt").read_bytes()
    assert not Path("checkpoints/experiment").exists()
    shutil.rmtree("models")
    train_block = training.train_block
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in tests that run in the background
    try:
        for number, stop, started in ((signal.SIGINT, 16, ""), (signal.SIGTERM, 32, ", goes on from step 16 of 40")):

            def interrupted(*arguments, number=number, stop=stop):
                terms = train_block(*arguments)
                if arguments[0].step == stop:
                    signal.raise_signal(number)
                return terms

            capsys.readouterr()
            monkeypatch.setattr(training, "train_block", interrupted)
            assert last_line(train.main) == f"interrupted at step {stop} of 40; the same command goes on from here"
            where = f"train experiment: on {devices.described(torch.device('cpu'))}{started}"
            assert capsys.readouterr().err.splitlines()[0] == where
    finally:
        signal.signal(signal.SIGINT, before)
    run(train.main)
    assert Path("models/experiment/weights.pt").read_bytes() == unbroken


def test_a_stage_that_is_interrupted_promises_nothing_and_a_comment_in_dvcs_command_is_none_on_windows_either(
    workspace,
):
    def main(*words):
        assert words == ("rhd-2d-v1",)
        raise KeyboardInterrupt

    line = last_line(main, "rhd-2d-v1", "#", "--dataset", "rhd", "--help")
    assert line == "interrupted; run the same command again"


def trained_and_evaluated():
    """The metrics of rhd-2d-v1."""
    run(train.main, "rhd-2d-v1")
    run(evaluate.main, "rhd-2d-v1")
    return json.loads(METRICS.read_text())


def test_a_row_of_three_seeds_has_three_models_whose_numbers_the_report_reads_from_its_file(workspace):
    """By the profile's number for repeated rows; alone each is the same as a row of its own."""
    set_params({"profiles.tiny.repeated_seeds": 3})
    write_hands("data/processed/rhd.h5", count=12, groups=("train", "test"), **FACTS)
    metrics, loaded, path = trained_and_evaluated(), params.load(), Path("data/predictions/rhd-2d-v1.h5")
    (together,) = read_results(path, METRICS, "rhd-2d-v1", loaded.experiment("rhd-2d-v1"), loaded.profile_name)
    together = replace(together, predictions=path.rename("together.h5"))
    frames, means_mm = read_frames([together]), []
    for seed in range(3):
        set_params({"experiments.rhd-2d-v1": {"dataset": "rhd", "input": "joints_2d", "variant": 1, "seed": seed}})
        alone = replace(together, predictions=path, metrics=trained_and_evaluated())
        means_mm.append(alone.metrics["epe_mean_mm"])
        np.testing.assert_array_equal(read_frames([alone]).errors_mm[0], frames.errors_mm[seed])
        mu = read_arrays(together, "latent/mu_joints_2d", seed=seed)[0]
        np.testing.assert_array_equal(read_arrays(alone, "latent/mu_joints_2d", seed=0)[0], mu)
    assert metrics["seeds"] == together.seeds == len(set(means_mm)) == 3
    assert metrics["epe_mean_mm"] == pytest.approx(statistics.mean(means_mm), abs=2e-4)
    assert metrics["epe_mean_mm_sd"] == pytest.approx(statistics.stdev(means_mm), abs=2e-4)


@pytest.mark.parametrize(("synthetic", "blocks"), [(True, 12), (False, 3)])
def test_a_real_video_is_evaluated_by_blocks_of_as_many_frames_as_params_says(workspace, synthetic, blocks):
    set_params({"evaluation.block_frames": 4})
    facts = FACTS | {"synthetic": synthetic}
    write_hands("data/processed/rhd.h5", count=24, groups=("train", "test"), **facts)
    with h5py.File("data/processed/rhd.h5", "r+") as file:  # both views of twelve frames
        file["test/moment"][:] = [f"B1Counting/{row // 2:04d}" for row in range(24)]
        file["test/sequence"][:] = [f"B1Counting {('left', 'right')[row % 2]}" for row in range(24)]
        file["test/frame"][:] = np.arange(24) // 2
    metrics = trained_and_evaluated()
    assert (metrics["frames"], metrics["blocks"]) == (24, blocks)
    with h5py.File("data/predictions/rhd-2d-v1.h5") as file:
        assert file["block"][:].tolist() == np.repeat(range(blocks), 24 // blocks).tolist()


@needs_real
def test_the_real_stb_labels_train_a_2d_to_3d_model_through_the_stages(workspace):
    """Frames 0 to 1,199 of the one real sequence for training, the rest for testing; a few steps suffice to learn."""
    protocol = {"training": ["B1Counting:0-1199"], "evaluation": ["B1Counting:1200-1499"], "images": False}
    set_params({f"data.stb.protocol.{key}": value for key, value in protocol.items()})
    set_params({"dataset": "stb", "input": "joints_2d", "data.stb.source": str(REAL / "stb")})
    set_params({f"profiles.tiny.training.joints_2d.{key}": n for key, n in (("steps", 320), ("batch_size", 64))})
    for main, *arguments in ((download.main, "stb"), (preprocess.main, "stb"), (train.main,), (evaluate.main,)):
        run(main, *arguments)
    metrics = json.loads(Path("reports/metrics.json").read_text())
    assert (metrics["frames"], metrics["previous_frame_frames"]) == (600, 598)  # both views of 300 frames
    assert metrics["epe_mean_mm"] < 0.75 * metrics["mean_pose_epe_mm"]
    assert (
        2 < metrics["previous_frame_epe_mm"] < 3
    )  # the hand moves little from frame to frame: no model beats that here
    assert "600 test labelled hands without images" in store.attributes(Path("data/processed/stb.h5"))["source"]
