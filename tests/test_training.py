import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from handvae.base import params
from handvae.base.errors import InputError
from handvae.evaluation import predict
from handvae.model import batches, checkpoints, schedules, training, vae
from handvae.model.draws import BLOCK, unaugmented
from handvae.model.parts import whole
from handvae.model.residency import HostImages
from handvae.model.settings import settings_of
from tests.conftest import REPOSITORY
from tests.test_batches import load, write_depth_hands, write_hands

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_hands(tmp_path_factory.mktemp("data") / "set.h5", count=24)


def settings(name="rhd-rgb-v4", label_fraction=1.0, **changes):
    """A grid experiment at a size that trains in a second or two."""
    loaded = settings_of(params.load(REPOSITORY / "params.yaml"), name)
    loaded = replace(loaded, experiment=replace(loaded.experiment, label_fraction=label_fraction))
    small = replace(loaded.training, steps=40, batch_size=6, warmup_steps=2)
    small = replace(small, **{key: changes.pop(key) for key in list(changes) if hasattr(small, key)})
    return replace(loaded, width=16, training=small, **changes)


def train(settings, data, folder, name="model", resident="auto"):
    training.train(settings, [whole(data, ["train"])], folder / name, folder / f"{name}.pt", CPU, resident)
    return {path.name: path.read_bytes() for path in (folder / name).iterdir()}


@pytest.fixture(scope="module")
def unbroken(data, tmp_path_factory):
    """The files of a model of 24 steps, three blocks."""
    return train(settings(steps=3 * BLOCK), data, tmp_path_factory.mktemp("unbroken"))


def noise_of(pairs, samples=6):
    return torch.randn(pairs, samples, 30, generator=torch.Generator().manual_seed(0))


def batch_of(chosen, data, folder, unit_mm=50.0):
    if chosen.experiment.input == "depth":
        data = write_depth_hands(folder / "depth.h5")
    split = load(data, images=chosen.uses_images, unit_mm=unit_mm)
    return batches.batch(split, unaugmented(torch.arange(6)), chosen.modalities)


def both(batch):
    """The samples of one batch for the pairs that need labels and for those that do not."""
    return {True: batch, False: batch}


@pytest.mark.parametrize("target", ["joints_3d", "rgb"])
def test_a_step_on_one_pair_moves_its_own_encoder_and_decoder_only(data, tmp_path, target):
    run = training.Run(settings(), CPU)
    before = {key: value.clone() for key, value in run.model.named_parameters()}
    number = run.settings.pairs.index(("rgb", target))
    training.training_step(run, [[number]], both(batch_of(run.settings, data, tmp_path)), noise_of(3))
    moved = {key for key, value in run.model.named_parameters() if not torch.equal(value, before[key])}
    assert {".".join(key.split(".")[:2]) for key in moved} == {"encoders.rgb", f"decoders.{target}"}


@pytest.mark.parametrize(
    ("name", "joint_steps", "all_labelled", "expected"),
    [
        ("rhd-rgb-v4", False, True, [[[0]], [[1]], [[2]]]),  # as Algorithm 1
        ("rhd-rgb-v4", True, True, [[[0, 1], [2]]]),
        ("rhd-rgb-v4", True, False, [[[0], [2]], [[1]]]),  # of the unlabelled samples a step of its own
        ("stb-cross", True, True, [[[0, 1, 2], [3, 4], [5, 6]]]),
    ],
)
def test_every_pair_has_a_step_or_those_of_the_same_samples_one_that_encodes_them_once(
    name, joint_steps, all_labelled, expected
):
    assert training.encodings(settings(name, joint_steps=joint_steps), all_labelled) == expected


def test_a_joint_step_has_the_gradient_of_the_summed_losses(data, tmp_path):
    """Against plain autograd, pair by pair, with BatchNorm at rest, which would see a shared batch once."""
    chosen = settings("stb-cross", joint_steps=True, optimiser="adam", warmup_steps=0, mixed_precision=False)
    batch, noise = batch_of(chosen, data, tmp_path, unit_mm=None), noise_of(7)
    run, plain = training.Run(chosen, CPU), training.Run(chosen, CPU).model.eval()
    run.model.eval()
    terms = training.training_step(run, training.encodings(chosen, True)[0], both(batch), noise)
    weight, total = schedules.kl_weight(0, chosen.training.steps, chosen.loss), 0
    for number, (source, target) in enumerate(chosen.pairs):
        reconstruction, kl = vae.terms(plain, source, (target,), batch, noise[number : number + 1], chosen.loss)[0]
        torch.testing.assert_close(terms[number], torch.stack([reconstruction, kl]).detach())
        total = total + reconstruction + weight * kl
    total.backward()
    for name, value in plain.named_parameters():
        gradient = run.model.get_parameter(name).grad  # None of both where no pair uses the parameter
        torch.testing.assert_close(gradient, value.grad, rtol=1e-4, atol=1e-5, msg=name)


def test_terms_come_in_the_order_of_the_pairs(data, monkeypatch):
    chosen = settings("stb-cross", joint_steps=True, steps=1)
    order = [3, 0, 5, 1, 4, 6, 2]  # a joint step groups them by what they encode
    chosen = replace(chosen, pairs=tuple(chosen.pairs[number] for number in order))
    numbered = lambda run, step, *_: torch.tensor([[n, n] for encoding in step for n in encoding])  # noqa: E731
    monkeypatch.setattr(training, "training_step", numbered)
    terms = training.train_block(training.Run(chosen, CPU), load(data, ["train"], True, None))
    assert terms[0].tolist() == [[number, number] for number in range(7)]


def test_separate_models_train_as_if_each_were_alone(data, tmp_path):
    """Pairs without a common parameter take no part in each other's steps, though they share an optimiser."""
    chosen = settings("stb-separate")
    together, alone = training.Run(chosen, CPU), training.Run(chosen, CPU)
    batch, noise = batch_of(chosen, data, tmp_path), noise_of(3)
    number = chosen.pairs.index(("joints_2d", "joints_2d"))
    for step in range(3):
        for encodings in training.encodings(chosen, True):
            training.training_step(together, encodings, both(batch), noise[[step] * 3])
        training.training_step(alone, [[number]], both(batch), noise[[step] * 3])
    for part in ("encoders.joints_2d", "decoders.joints_2d"):
        for name, value in alone.model.get_submodule(part).named_parameters():
            assert torch.equal(value, together.model.get_submodule(part).get_parameter(name)), name


def test_training_brings_the_error_under_the_mean_poses(data, tmp_path):
    still = replace(settings().augmentation, rotation_deg=0.0, shift=0.0, flip="never")
    train(settings("rhd-2d-v1", steps=300, learning_rate=1e-3, augmentation=still), data, tmp_path)
    model, _, _ = checkpoints.load_model(tmp_path / "model", CPU)
    split = load(data, ["train"], False, None)
    truth = split.joints_mm - split.joints_mm[:, :1]
    predicted = torch.from_numpy(predict.predict_joints_mm(model, "joints_2d", split))
    mean_pose = torch.from_numpy(predict.mean_pose_mm(split, split))
    assert (predicted - truth).norm(dim=-1).mean() < 0.5 * (mean_pose - truth).norm(dim=-1).mean()


def test_a_seed_gives_the_same_bytes_interrupted_or_not_and_another_others(data, tmp_path, monkeypatch, unbroken):
    chosen = settings(steps=3 * BLOCK)
    other = replace(chosen, experiment=replace(chosen.experiment, seed=1))
    assert train(other, data, tmp_path, "other")["weights.pt"] != unbroken["weights.pt"]
    monkeypatch.setitem(training.CHECKPOINT_EVERY_S, "cpu", 0.0)
    original = training.train_block

    def interrupted(run, split):
        if run.step >= 2 * BLOCK:
            raise KeyboardInterrupt
        return original(run, split)

    monkeypatch.setattr(training, "train_block", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(chosen, data, tmp_path, "broken")
    assert (tmp_path / "broken.pt").exists() and not (tmp_path / "broken").exists()
    steps = []
    monkeypatch.setattr(training, "train_block", lambda run, split: steps.append(run.step) or original(run, split))
    assert train(chosen, data, tmp_path, "broken") == unbroken
    assert steps == [2 * BLOCK] and not (tmp_path / "broken.pt").exists()


def test_a_loss_that_is_not_finite_stops_with_step_pair_and_terms(data, tmp_path):
    with pytest.raises(InputError, match=r"rhd-2d-v1: expected a finite loss, .* for joints_2d->joints_3d at step"):
        train(settings("rhd-2d-v1", learning_rate=1e30), data, tmp_path)
    assert not (tmp_path / "model").exists()


def test_data_of_another_crop_size_are_refused(data, tmp_path):
    with pytest.raises(InputError, match="expected crops of 128 px, found 64 px"):
        train(replace(settings(), crop_px=128), data, tmp_path)


def test_images_in_host_memory_train_the_same_bytes_and_every_block_is_sent_once(data, tmp_path, monkeypatch):
    sent, original = [], HostImages.send
    monkeypatch.setattr(HostImages, "send", lambda host, rows: sent.append(rows) or original(host, rows))
    chosen = settings("rhd-rgb-v3", 1 / 3, steps=2 * BLOCK)
    there = train(chosen, data, tmp_path, "host", "host")
    assert [len(rows) for rows in sent] == 2 * 2 * [6 * BLOCK]  # of the labelled rows and of all
    assert there == train(chosen, data, tmp_path, "device", "device") and len(sent) == 4


def test_no_memory_is_read_before_it_is_written(data, tmp_path, monkeypatch):
    """Training does not change where torch fills every new tensor with NaN: filling is for nothing."""
    weights = []
    for fill in (True, False):
        monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", fill)
        weights.append(train(settings("stb-cross", steps=8), data, tmp_path, resident="host"))
    assert weights[0] == weights[1]


@pytest.mark.parametrize("name", ["stb-cross", "icvl-resnet50"])
def test_mixed_precision_gives_nearly_the_terms_of_full_precision(data, tmp_path, name):
    chosen = settings(name, warmup_steps=0, learning_rate=1e-4, muon_learning_rate=1e-3, joint_steps=False)
    batch, noise, terms = batch_of(chosen, data, tmp_path), noise_of(len(chosen.pairs)), {}
    for mixed in (False, True):
        run = training.Run(chosen, CPU)
        run.mixed_precision = mixed
        run.model.train()
        steps = [torch.cat([training.training_step(run, step, both(batch), noise)
                            for step in training.encodings(chosen, True)]) for _ in range(4)]  # fmt: skip
        terms[mixed] = torch.stack(steps)
        assert all(value.dtype == torch.float32 for value in run.model.parameters())
    assert terms[True].isfinite().all() and not torch.equal(terms[True], terms[False])
    torch.testing.assert_close(terms[True][0], terms[False][0], rtol=0.05, atol=0.01)
    torch.testing.assert_close(terms[True], terms[False], rtol=0.2, atol=0.01)


def changed(data, path, labelled_too=False, images=False):
    """The data with other labels, or images, in the rows that count as unlabelled at a third."""
    shutil.copy(data, path)
    labelled = load(data, ["train"], False, None, label_fraction=1 / 3).labelled[0].numpy()
    with h5py.File(path, "r+") as file:
        group = file["train"]
        rows = np.array([row for row in range(len(group["side"])) if labelled_too == (row in labelled)])
        if images:
            group["image_u8"][rows] = 255 - group["image_u8"][rows]
        else:
            group["joints_mm"][rows] *= 1.3
    return path


def test_labels_of_unlabelled_samples_are_never_seen(data, tmp_path):
    chosen = settings("rhd-rgb-v3", 1 / 3, steps=BLOCK)
    before = train(chosen, data, tmp_path, "a")["weights.pt"]
    assert train(chosen, changed(data, tmp_path / "b.h5"), tmp_path, "b")["weights.pt"] == before
    assert train(chosen, changed(data, tmp_path / "c.h5", labelled_too=True), tmp_path, "c")["weights.pt"] != before


@pytest.mark.parametrize(("name", "same"), [("rhd-rgb-v1", True), ("rhd-rgb-v3", False)])
def test_unlabelled_images_train_the_semi_supervised_model_only(data, tmp_path, name, same):
    other = changed(data, tmp_path / "other.h5", images=True)
    weights = [train(settings(name, 1 / 3, steps=BLOCK), source, tmp_path)["weights.pt"] for source in (data, other)]
    assert (weights[0] == weights[1]) == same


def test_history_has_a_row_a_block_with_every_pairs_terms(unbroken):
    history = unbroken["history.csv"].decode().splitlines()
    assert history[0].split(",")[:3] == ["step", "learning_rate", "kl_weight"] and "rgb->rgb_kl" in history[0]
    row = dict(zip(history[0].split(","), map(float, history[-1].split(",")), strict=True))
    pairs = ("rgb->joints_3d", "rgb->rgb", "joints_3d->joints_3d")
    expected = sum(row[f"{pair}_reconstruction"] + row["kl_weight"] * row[f"{pair}_kl"] for pair in pairs)
    assert row["loss"] == pytest.approx(expected, rel=1e-5)
    assert [row.split(",")[0] for row in history[1:]] == ["8", "16", "24"]
