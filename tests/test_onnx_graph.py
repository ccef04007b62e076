"""Exported models: onnxruntime makes of the file what torch makes of the model, and the file says what it is."""

import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from handvae.base.joints import HAND21
from handvae.evaluation.predict import predict_joints_mm
from handvae.model import methods, parts
from handvae.model.checkpoints import Trained
from handvae.prediction import onnx_graph, portable
from stages import export, run
from tests.conftest import REPOSITORY
from tests.test_batches import load, write_hands
from tests.test_training import settings

UNSIDED = "rhd-rgb-v1-t"
UNKNOWN = "RHD, whether synthetic or real is not known"
OUTPUTS = {
    UNSIDED: {"joints_3d": (21, 3)},
    "rhd-2d-v3": {"joints_3d": (21, 3), "joints_2d_decoded": (21, 2)},
    "icvl-resnet18": {"joints_3d": (16, 3)},
    "rhd-rgb-v5": {"joints_3d": (21, 3)},
    "stb-cross": {"joints_3d": (21, 3), "rgb_decoded": (3, 64, 64), "joints_2d": (21, 2)},
}
UNITS = dict.fromkeys(OUTPUTS, "scale_bone") | {UNSIDED: "fixed", "icvl-resnet18": "half_cube"}


def tiny(name, seed=0):
    """An untrained model whose BatchNorms have seen something, its weights as a file in half precision has them."""
    chosen, generator = settings(name), torch.Generator().manual_seed(seed)
    model = methods.build(chosen.architecture, seed).eval()
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2, generator=generator)
            layer.running_var.uniform_(0.5, 2, generator=generator)
    for value in model.state_dict().values():
        value.copy_(value.half())
    return Trained(model, chosen, "digest")


@cache
def exported(name):
    """A model, and its file; made once, since the exporter takes seconds."""
    trained = tiny(name)
    return trained, onnx_graph.export(trained, UNKNOWN)


def names(entries):
    return [entry.name for entry in entries]


def by_torch(trained, inputs):
    source = trained.settings.experiment.input
    with torch.inference_mode():
        mu, log_var = trained.model.encode(source, inputs[source], inputs.get("side_onehot"))
        decoded = [trained.model.decode(name.removesuffix("_decoded"), mu) for name in OUTPUTS[trained.settings.name]]
    return [*decoded, mu, log_var]


@pytest.mark.parametrize("name", OUTPUTS)
def test_onnxruntime_gives_what_torch_gives_at_any_batch_size(name):
    trained, content = exported(name)
    session, generator = onnxruntime.InferenceSession(content), torch.Generator().manual_seed(0)
    assert names(session.get_outputs()) == [*OUTPUTS[name], "mu", "log_var"]
    assert names(session.get_inputs()) == [trained.settings.experiment.input, "side_onehot"][: 1 + (name != UNSIDED)]
    for batch in (1, 5):
        inputs = {x.name: torch.rand(batch, *x.shape[1:], generator=generator) - 0.5 for x in session.get_inputs()}
        results = session.run(None, {key: x.numpy() for key, x in inputs.items()})
        shapes = [*OUTPUTS[name].values(), (30,), (30,)]
        expected = zip(shapes, by_torch(trained, inputs), by_torch(tiny(name, seed=1), inputs), strict=True)
        for result, (shape, ours, others) in zip(results, expected, strict=True):
            assert result.shape == (batch, *shape)
            np.testing.assert_allclose(result, ours.view(result.shape), atol=1e-4, rtol=0)
            assert np.abs(result - others.view(result.shape).numpy()).max() > 1e-2, "other weights"


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_file_says_what_goes_in_what_comes_out_and_what_it_is(name):
    trained, content = exported(name)
    session, chosen = onnxruntime.InferenceSession(content), trained.settings
    facts = session.get_modelmeta().custom_metadata_map
    assert (facts["name"], facts["licence"], facts["trained_on"]) == (name, "MIT", UNKNOWN)
    assert json.loads(facts["settings"]) == chosen.as_dict() and facts["data_sha256"] == "digest"
    assert json.loads(facts["joints"]) == list(chosen.skeleton.joints)
    for key, entries in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
        shapes = {text_name: text.partition(": ")[0] for text_name, text in json.loads(facts[key]).items()}
        assert shapes == {entry.name: f"({', '.join(map(str, entry.shape))})" for entry in entries}
    assert facts["joints_3d_unit"] == UNITS[name] and ("joints_3d_unit_mm" in facts) == (UNITS[name] == "fixed")
    assert facts["joints_3d_to_mm"] in json.loads(facts["outputs"])["joints_3d"]
    assert ("cube's centre" in facts["frame"]) == (chosen.experiment.input == "depth")


def test_the_file_is_whole_and_has_no_path_of_the_machine():
    model = onnx.load_from_string(exported("stb-cross")[1])
    onnx.checker.check_model(model, full_check=True)
    for tensor in model.graph.initializer:
        assert not tensor.external_data
        tensor.ClearField("raw_data")  # in the bytes of weights anything may occur
    text = str(model.graph)
    assert ".py" not in text and str(REPOSITORY) not in text and "metadata_props" not in text


def saved(name, folder):
    """A file of a model to take along, as models.load reads it."""
    path = folder / f"{name}.safetensors"
    portable.save(path, tiny(name))
    return path


def test_the_program_writes_the_same_bytes_again_and_leaves_decoders_out_if_asked(tmp_path, monkeypatch, capfd):
    content = exported("rhd-2d-v3")[1]
    capfd.readouterr()
    monkeypatch.chdir(tmp_path)
    path = saved("rhd-2d-v3", tmp_path)
    run(export.main, str(path), "--onnx")
    said = capfd.readouterr()
    assert said.err == "" and said.out.count("\n") == 1 and said.out.startswith("export: wrote exports/rhd-2d-v3.onnx")
    assert said.out.endswith("MB: joints_2d, side_onehot -> joints_3d, joints_2d_decoded, mu, log_var\n")
    assert Path("exports/rhd-2d-v3.onnx").read_bytes() == content
    path.with_suffix(".md").write_text("| trained on | photographs of one's own |\n")
    run(export.main, str(path), "--onnx", "--target", "joints_3d", "--out", "mine.onnx")
    session = onnxruntime.InferenceSession("mine.onnx")
    assert names(session.get_outputs()) == ["joints_3d", "mu", "log_var"]
    assert session.get_modelmeta().custom_metadata_map["trained_on"] == "photographs of one's own"


def test_preprocessed_data_names_what_a_model_was_trained_on_only_if_it_is_still_that(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_hands(tmp_path / "data/processed/rhd.h5", source="synthetic hands (seed 0)", skeleton="HAND21")
    chosen = settings("rhd-2d-v1")
    digest = parts.digest(parts.training_parts(export.PROCESSED, chosen.experiment))
    folder = tmp_path / "models/rhd-2d-v1"
    assert export.trained_on(Trained(None, chosen, digest), folder) == "synthetic hands (seed 0)"
    assert "not known" in export.trained_on(Trained(None, chosen, "another"), folder)


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("stb-separate", [], "stb-separate: expected a model that decodes rgb to joints_3d, found one to rgb;"),
        ("rhd-2d-v1", ["--target", "rgb"], "decodes joints_2d to rgb, found one to joints_3d;"),
        ("rhd-rgb-zb17", [], "rhd-rgb-zb17: expected one of our variants, found the rival [38];"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_one_line(name, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        run(export.main, str(saved(name, tmp_path)), "--onnx", *words)
    assert message in ended.value.code and "\n" not in ended.value.code and not list(tmp_path.rglob("*.onnx*"))


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_without_a_package_the_program_says_so_in_one_line(package, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    for module in ("handvae.prediction.onnx_graph", "stages.export"):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delattr("handvae.prediction.onnx_graph")
    with pytest.raises(ModuleNotFoundError) as missed:
        __import__("stages.export")
    sys.excepthook(missed.type, missed.value, missed.tb)
    said = capsys.readouterr().err
    assert f"has no package {package}: " in said and "make setup" in said and said.count("\n") == 1


@pytest.mark.parametrize("name", ["stb-cross", UNSIDED])
def test_the_python_of_the_page_gives_the_models_joints_in_mm(name, tmp_path, monkeypatch, capsys):
    """A crop in, and out what the evaluation's own code makes of it, for a hand whose bone has 40 mm."""
    trained, content = exported(name)
    monkeypatch.chdir(tmp_path)
    unit_mm = trained.settings.joint_unit_mm
    split = load(write_hands(tmp_path / "set.h5", source=""), images=True, unit_mm=unit_mm)
    right = int(np.flatnonzero(split.side.numpy())[0])
    if unit_mm is None:
        split.scale_mm[right] = 40
    margin = (split.context_px - split.crop_px) // 2
    image_u8 = split.images[right].numpy()[margin : margin + split.crop_px, margin : margin + split.crop_px]
    for file in (Path("mine/hand.png"), Path("exports/rhd-rgb-v1.onnx")):
        file.parent.mkdir()
    Image.fromarray(image_u8).save("mine/hand.png")
    Path("exports/rhd-rgb-v1.onnx").write_bytes(content)
    variables: dict = {}
    exec((REPOSITORY / "docs/export.md").read_text().partition("```python\n")[2].partition("```")[0], variables)
    expected = predict_joints_mm(trained.model, "rgb", split)[right]
    np.testing.assert_allclose(variables["joints_mm"], expected, atol=0.01)
    assert np.abs(expected).max() > 1
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(HAND21)
