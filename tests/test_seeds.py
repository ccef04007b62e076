import shutil
from dataclasses import replace

import pytest

from handvae.base.errors import InputError
from handvae.model import checkpoints, seeds, training
from handvae.model.parts import whole
from tests.test_batches import write_hands
from tests.test_training import CPU, settings

STEPS = 24  # three blocks


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_hands(tmp_path_factory.mktemp("data") / "set.h5", count=24)


def models(steps=STEPS):
    chosen = settings("rhd-2d-v2", steps=steps)
    return [replace(chosen, experiment=replace(chosen.experiment, seed=seed)) for seed in range(2)]


def train_all(data, folder):
    seeds.train_all(models(), [whole(data, ["train"])], folder / "models/row", folder / "kept/row", CPU)
    return files(folder / "models/row")


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def unbroken(data, tmp_path_factory):
    return train_all(data, tmp_path_factory.mktemp("unbroken"))


@pytest.fixture
def trained(monkeypatch):
    """The seeds that training is called for, each with the steps at which its blocks begin."""
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
    assert set(unbroken) == {*names, *(f"seed-1/{name}" for name in names)}
    assert train_all(data, tmp_path) == unbroken
    assert files(tmp_path).keys() == {f"models/row/{name}" for name in unbroken}
    for number, expected in enumerate(models()):
        _, loaded, _ = checkpoints.load_model(checkpoints.seed_folder(tmp_path / "models/row", number), CPU)
        assert loaded == expected


@pytest.mark.parametrize(("blocks", "goes_on"), [(3, [[1, 0, 8, 16]]), (5, [[1, 16]])])
def test_a_row_killed_between_or_within_its_models_loses_nothing(
    data, unbroken, tmp_path, monkeypatch, trained, blocks, goes_on
):
    monkeypatch.setitem(training.CHECKPOINT_EVERY_S, "cpu", 0.0)
    with monkeypatch.context() as patch:
        original = training.train_block

        def killed(run, split):
            if sum(len(steps) for _, *steps in trained) == blocks:
                raise Killed
            return original(run, split)

        patch.setattr(training, "train_block", killed)
        with pytest.raises(Killed):
            train_all(data, tmp_path)
    assert not (tmp_path / "models/row").exists()
    shutil.rmtree(tmp_path / "models", ignore_errors=True)  # as DVC does before it runs a stage again
    del trained[:]
    assert train_all(data, tmp_path) == unbroken and trained == goes_on
    assert not (tmp_path / "kept/row").exists()


@pytest.mark.parametrize("moment", ["shutil.copytree", "handvae.base.atomic.remove_folder"])
def test_a_row_killed_when_all_are_trained_trains_none_again(data, unbroken, tmp_path, monkeypatch, trained, moment):
    def killed(*_, **__):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(moment, killed)
        train_all(data, tmp_path)
    shutil.rmtree(tmp_path / "models/row", ignore_errors=True)
    del trained[:]
    assert train_all(data, tmp_path) == unbroken and not trained


def test_a_finished_model_of_other_settings_is_replaced(data, unbroken, tmp_path, trained):
    for number, settings_of_seed in enumerate([models(steps=8)[0], models()[1]]):
        finished = tmp_path / f"kept/row/seed-{number}"
        training.train(settings_of_seed, [whole(data, ["train"])], finished, tmp_path / "checkpoint.pt", CPU)
    (tmp_path / "kept/row" / seeds.CODE).write_text(seeds.code_sha256())
    del trained[:]
    assert train_all(data, tmp_path) == unbroken
    assert [seed for seed, *_ in trained] == [0]


def test_a_row_that_other_code_began_is_refused_and_trained_afresh_without_it(data, unbroken, tmp_path, monkeypatch):
    kept = tmp_path / "kept/row"
    for begun_by in (seeds.CODE, "nothing"):
        (kept / "seed-0").mkdir(parents=True)
        (kept / begun_by).write_text("of other code")
        with pytest.raises(InputError, match=rf"^{kept}: expected a training begun by this code.*; delete this folder"):
            train_all(data, tmp_path)
        assert {path.name for path in kept.iterdir()} == {"seed-0", begun_by}
        shutil.rmtree(kept)
    assert train_all(data, tmp_path) == unbroken


def test_a_stale_checkpoint_of_a_later_model_stops_the_row_before_one_is_trained(data, tmp_path, trained):
    kept, parts = tmp_path / "kept/row", [whole(data, ["train"])]
    kept.mkdir(parents=True)
    (kept / seeds.CODE).write_text(seeds.code_sha256())
    identity = training.identity_of(models(steps=8)[1], parts)
    checkpoints.save_checkpoint(kept / "seed-1.pt", {}, [], identity)
    with pytest.raises(
        InputError, match=r"seed-1.pt: a checkpoint of another run: settings.training.steps expected 24"
    ):
        train_all(data, tmp_path)
    assert not trained


def test_the_code_of_a_training_is_what_it_runs(tmp_path):
    package = shutil.copytree(seeds.PACKAGE, tmp_path / "moved", ignore=shutil.ignore_patterns("__pycache__"))
    assert seeds.code_sha256(package) == seeds.code_sha256()
    for name, counts in (("report/style.py", False), ("model/vae.py", True), ("base/new.py", True)):
        before = seeds.code_sha256(package)
        with (package / name).open("a") as file:
            file.write("#")
        assert (seeds.code_sha256(package) != before) == counts
