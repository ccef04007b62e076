"""Training that starts from another model's weights: which parts it takes, what it refuses, what it remembers."""

import json

import pytest
import torch

from handvae.base.errors import InputError
from handvae.model import checkpoints, initial, training
from handvae.model.parts import whole
from handvae.model.vae import CrossModalVAE
from handvae.prediction import portable
from tests.test_batches import write_hands
from tests.test_poses import fresh
from tests.test_training import CPU, settings


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_hands(tmp_path_factory.mktemp("data") / "set.h5", count=24)


def untrained(name, **changes):
    return CrossModalVAE(settings(name, **changes).architecture, 1)


def same(model, other, part):
    theirs = other.state_dict()
    return all(torch.allclose(value.float(), theirs[key].float(), rtol=1e-3, atol=1e-4)
               for key, value in model.state_dict().items() if key.startswith(part))  # fmt: skip


def test_every_part_that_both_have_is_taken_from_a_file_and_from_a_folder(tmp_path, capsys):
    other = fresh("rhd-rgb-v2")
    portable.save(tmp_path / "other.safetensors", other)
    identity = {"settings": other.settings.as_dict(), "data_sha256": "digest"}
    checkpoints.save_model(tmp_path / "other", other.model.state_dict(), [{"step": 1}], identity)
    for path in (tmp_path / "other.safetensors", tmp_path / "other"):
        model = untrained("rhd-rgb-v3")
        images = {key: value.clone() for key, value in model.decoders["rgb"].state_dict().items()}
        assert not same(model, other.model, "encoders.rgb")
        initial.start_from(model, path)
        assert same(model, other.model, "encoders.rgb") and same(model, other.model, "decoders.joints_3d")
        assert all(torch.equal(value, images[key]) for key, value in model.decoders["rgb"].state_dict().items())
        assert "decoders.joints_3d, encoders.rgb\n" in capsys.readouterr().err


def test_a_model_of_another_size_or_without_a_common_part_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    portable.save(path, fresh("rhd-rgb-v1"))
    with pytest.raises(InputError, match=r"other\.safetensors: init: expected encoders\.rgb of the size"):
        initial.start_from(untrained("rhd-rgb-v1-ts"), path)  # is not told the side: another last layer
    with pytest.raises(InputError, match=r"expected decoders\.joints_3d of the size"):
        initial.start_from(untrained("icvl-resnet18"), path)  # 16 joints
    path.write_bytes(b"no weights")
    for broken in (path, tmp_path / "none"):
        with pytest.raises(InputError, match="init expects a model"):
            initial.digest(broken)
            initial.start_from(untrained("rhd-rgb-v1"), broken)


def test_training_begins_there_and_its_folder_says_so(data, tmp_path):
    other = fresh("rhd-rgb-v1")
    other.model.load_state_dict({key: value * 0.9 for key, value in other.model.state_dict().items()})
    portable.save(path := tmp_path / "other.safetensors", other)
    chosen = settings("rhd-rgb-v1", steps=1, learning_rate=1e-9, muon_learning_rate=1e-9)
    for name, init in (("plain", None), ("tuned", path)):
        files = tmp_path / name, tmp_path / f"{name}.pt"
        training.train(chosen, [whole(data, ["train"])], *files, CPU, "auto", init)
    plain, tuned = (checkpoints.load_model(tmp_path / name, CPU).model for name in ("plain", "tuned"))
    part = "encoders.rgb.trunk.layer1.0.conv1"
    assert same(tuned, other.model, part) and not same(plain, other.model, part)
    identity = json.loads((tmp_path / "tuned/settings.json").read_text())
    assert identity["init_sha256"] == initial.digest(path)
    assert "init_sha256" not in json.loads((tmp_path / "plain/settings.json").read_text())
