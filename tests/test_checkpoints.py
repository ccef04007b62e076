from dataclasses import replace

import pytest

from handvae.base import params
from handvae.base.errors import InputError
from handvae.model import checkpoints, training
from handvae.model.settings import settings_of
from tests.conftest import REPOSITORY
from tests.test_training import CPU, settings, train
from tests.test_training import data as data  # a fixture


def test_where_training_runs_is_no_part_of_what_models_and_checkpoints_compare():
    loaded = params.load(REPOSITORY / "params.yaml")
    elsewhere = replace(loaded, device="cpu", resident="host", profile=replace(loaded.profile, needs_gpu=True))
    assert settings_of(elsewhere, "rhd-rgb-v4").as_dict() == settings_of(loaded, "rhd-rgb-v4").as_dict()


def test_a_checkpoint_of_other_settings_or_data_is_refused(data, tmp_path):
    run = training.Run(settings(), CPU)
    identity = {"settings": settings().as_dict(), "data_sha256": "of other data"}
    checkpoints.save_checkpoint(tmp_path / "model.pt", run.state(), [], identity)
    with pytest.raises(
        InputError, match=r"model.pt: a checkpoint of another run: data_sha256 expected \w+, found of other"
    ):
        train(settings(), data, tmp_path)
    with pytest.raises(InputError, match=r"settings.training.steps expected 50, found 40"):
        train(settings(steps=50), data, tmp_path)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("content", [b"PK\x03\x04 broken", b"\x80\x04cos\nsystem\n(S'echo hacked'\ntR."])
def test_a_broken_or_hostile_checkpoint_is_refused_and_runs_nothing(data, tmp_path, content, capfd):
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"model.pt: expected a file of tensors"):
        train(settings("rhd-2d-v1"), data, tmp_path)
    assert "hacked" not in capfd.readouterr().out


def test_a_model_without_its_settings_or_with_anothers_weights_is_refused(data, tmp_path):
    train(settings("rhd-2d-v1", steps=1), data, tmp_path, "a")
    train(settings("rhd-2d-v2", steps=1), data, tmp_path, "b")
    (tmp_path / "b" / "weights.pt").write_bytes((tmp_path / "a" / "weights.pt").read_bytes())
    with pytest.raises(InputError, match=r"b/weights.pt: expected the weights of Architecture"):
        checkpoints.load_model(tmp_path / "b", CPU)
    (tmp_path / "a" / "settings.json").unlink()
    with pytest.raises(InputError, match=r"a/settings.json: expected a trained model's settings"):
        checkpoints.load_model(tmp_path / "a", CPU)
