import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from handvae.model import checkpoints, seeds, training
from handvae.model.parts import whole
from tests.conftest import REPOSITORY
from tests.test_batches import write_hands
from tests.test_training import CPU, settings

STEPS = 48


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_hands(tmp_path_factory.mktemp("data") / "set.h5", count=24)


def models(steps=STEPS):
    chosen = settings("rhd-2d-v2", steps=steps)
    return [replace(chosen, experiment=replace(chosen.experiment, seed=seed)) for seed in range(3)]


def train_all(data, folder, steps=STEPS):
    seeds.train_all(models(steps), [whole(data, ["train"])], folder / "models/row", folder / "kept/row", CPU)
    return files(folder / "models/row")


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def unbroken(data, tmp_path_factory):
    return train_all(data, tmp_path_factory.mktemp("unbroken"))


@pytest.fixture
def trained(monkeypatch):
    """The models that training is called for, and the steps that they begin with."""
    calls, original, original_block = [], training.train, training.train_block

    def train(settings, *rest):
        calls.append([settings.experiment.seed])
        original(settings, *rest)

    def train_block(run, split):
        calls[-1].append(run.step)
        return original_block(run, split)

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(training, "train_block", train_block)
    return calls


def test_a_row_is_its_models_the_first_in_its_own_folder_and_nothing_is_kept(data, unbroken, tmp_path):
    names = {"weights.pt", "settings.json", "history.csv"}
    assert set(unbroken) == {*names, *(f"seed-{number}/{name}" for number in (1, 2) for name in names)}
    assert train_all(data, tmp_path) == unbroken
    assert files(tmp_path).keys() == {f"models/row/{name}" for name in unbroken}
    for number in range(3):
        _, found, _ = checkpoints.load_model(checkpoints.seed_folder(tmp_path / "models/row", number), CPU)
        assert found == models()[number]


CHILD = """
import sys
from pathlib import Path
from handvae.model.parts import whole
from handvae.model import training
from tests.test_seeds import train_all
training.CHECKPOINT_EVERY_S["cpu"] = 0.0
train_all(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("seen", ["seed-0", "seed-1.pt"])
def test_a_row_killed_within_or_between_its_models_loses_no_finished_one(data, unbroken, tmp_path, trained, seen):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", CHILD, data, tmp_path]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    while not (tmp_path / "kept/row" / seen).exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "models/row").exists()
    shutil.rmtree(tmp_path / "models", ignore_errors=True)  # as DVC does before it runs a stage again
    assert train_all(data, tmp_path) == unbroken
    seeds_trained = [seed for seed, *_ in trained]
    assert 0 not in seeds_trained and seeds_trained[-1] == 2
    if seen == "seed-1.pt" and seeds_trained[0] == 1:
        assert trained[0][1] > 0  # goes on from its checkpoint
    assert not (tmp_path / "kept/row").exists()


@pytest.mark.parametrize("place", ["shutil.copytree", "os.replace", "handvae.base.atomic.remove_folder"])
def test_a_row_killed_when_all_are_trained_trains_none_again(data, unbroken, tmp_path, monkeypatch, trained, place):
    class Killed(BaseException):
        pass

    with monkeypatch.context() as patch:
        original = os.replace

        def killed(*arguments, **_):
            if place == "os.replace" and arguments[1] != tmp_path / "models/row":
                return original(*arguments)
            raise Killed

        patch.setattr(place, killed)
        with pytest.raises(Killed):
            train_all(data, tmp_path)
    assert len(trained) == 3
    shutil.rmtree(tmp_path / "models/row", ignore_errors=True)
    assert train_all(data, tmp_path) == unbroken and len(trained) == 3


def test_a_finished_model_of_other_settings_is_replaced(data, unbroken, tmp_path, trained):
    training.train(
        models(steps=8)[0], [whole(data, ["train"])], tmp_path / "kept/row/seed-0", tmp_path / "other.pt", CPU
    )
    training.train(models()[1], [whole(data, ["train"])], tmp_path / "kept/row/seed-1", tmp_path / "same.pt", CPU)
    del trained[:]
    assert train_all(data, tmp_path) == unbroken
    assert [seed for seed, *_ in trained] == [0, 2]
