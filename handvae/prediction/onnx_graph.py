"""A trained model as one ONNX graph, from its input to what its decoders make of it, and the words to use it by."""

import json
import math
import warnings

import onnx
import onnxscript  # noqa: F401 - torch's exporter imports it late, and names it badly where it is missing
import torch
from torch import nn

from handvae.base.errors import InputError
from handvae.base.joints import SCALE_BONE
from handvae.base.sections import HEATMAPS, TARGET
from handvae.model.checkpoints import Trained
from handvae.model.networks import LATENT
from handvae.model.settings import Settings
from handvae.model.vae import DIMENSIONS, IMAGE_CHANNELS, CrossModalVAE
from handvae.prediction import card

EXAMPLES = 2  # samples that the exporter sees; the batch stays free
LATENTS = {
    "mu": "mean of the latent's distribution; the other outputs are decoded from it",
    "log_var": "logarithm of the latent's variance",
}
RANGES = {
    "rgb": "RGB crop around one hand, (value - 127.5) / 255 of 8-bit values, in [-0.5, 0.5]",
    "depth": "depth crop of a cube around one hand: -1 on its front or nearer, +1 on its back, farther or unmeasured",
    "joints_2d": "u and v of each joint in pixels of the crop, less those of joint 0, over half the crop's side",
}
SIDE = "left hand [1, 0], right hand [0, 1]"


class Graph(nn.Module):
    """One encoder of a model and some of its decoders: x, and the side where the model uses it, to a tuple of the
    decoded modalities, mu and log_var. Joints come out as (B, J, 3) or (B, J, 2)."""

    def __init__(self, model: CrossModalVAE, source: str, targets: tuple[str, ...]):
        super().__init__()
        self.model, self.source, self.targets = model, source, targets

    def forward(self, x: torch.Tensor, side_onehot: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        mu, log_var = self.model.encode(self.source, x, side_onehot)
        decoded = []
        for target in self.targets:
            y = self.model.decode(target, mu)
            decoded.append(y if target in IMAGE_CHANNELS else y.unflatten(1, (-1, DIMENSIONS[target])))
        return *decoded, mu, log_var


def export(trained: Trained, trained_on: str, only: str | None = None) -> bytes:
    """The ONNX file of a model on the CPU, weights included; the same model gives the same bytes.

    `trained_on`: its data in words; `only`: see `targets`.
    """
    settings = trained.settings
    decoded, shapes = targets(settings, only), input_shapes(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter to its own programmers
        program = torch.onnx.export(
            Graph(trained.model, settings.experiment.input, decoded).eval(),
            tuple(torch.zeros(EXAMPLES, *shape) for shape in shapes.values()),
            input_names=list(shapes),
            output_names=[*output_names(settings, decoded), *LATENTS],
            dynamic_shapes=tuple({0: torch.export.Dim("batch")} for _ in shapes),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    model = program.model_proto
    _remove_notes(model)
    onnx.helper.set_model_props(model, metadata(trained, trained_on, decoded))
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def targets(settings: Settings, only: str | None = None) -> tuple[str, ...]:
    """What the model was trained to decode its input to, 3D joints first; `only`: that one alone.

    InputError where the input was not decoded to `only`, or without it to 3D joints.
    """
    if not settings.is_vae:
        raise InputError(f"{settings.name}: expected one of our variants, found the rival [38]; choose another model")
    source, wanted = settings.experiment.input, only or TARGET
    trained = [target for from_, target in settings.pairs if from_ == source and target != HEATMAPS]
    if wanted not in trained:
        raise InputError(
            f"{settings.name}: expected a model that decodes {source} to {wanted}, found one to {', '.join(trained)}; "
            f"choose another model, or one of these with --target"
        )
    return (only,) if only else tuple(sorted(trained, key=lambda target: target != TARGET))


def input_shapes(settings: Settings) -> dict[str, tuple[int, ...]]:
    """The graph's inputs by name, their shapes without the batch."""
    source = settings.experiment.input
    shape = _shape(settings, source)
    shapes = {source: shape if source in IMAGE_CHANNELS else (math.prod(shape),)}
    return shapes | ({"side_onehot": (2,)} if settings.experiment.hand_side_given else {})


def output_names(settings: Settings, decoded: tuple[str, ...]) -> list[str]:
    """A modality's own name; `<name>_decoded` for the input's, whose name is taken."""
    return [target + "_decoded" * (target == settings.experiment.input) for target in decoded]


def signature(settings: Settings, only: str | None = None) -> str:
    """The names of the graph's inputs and outputs, in one line."""
    outputs = [*output_names(settings, targets(settings, only)), *LATENTS]
    return f"{', '.join(input_shapes(settings))} -> {', '.join(outputs)}"


def metadata(trained: Trained, trained_on: str, decoded: tuple[str, ...]) -> dict[str, str]:
    """What the file says of itself; `inputs`, `outputs`, `joints` and `settings` are JSON."""
    settings = trained.settings
    unit, to_mm = _unit(settings)
    origin = "the cube's centre" if settings.experiment.input == "depth" else "the palm (joint 0)"
    frame = f"x right, y down, z away from the camera; relative to {origin}"
    ranges = RANGES | {TARGET: f"{frame}; {to_mm} to get mm"}
    if settings.experiment.input == "depth":
        ranges["joints_2d"] = "u and v of each joint in pixels of the crop from its middle, over half the crop's side"
    inputs = {
        name: f"(batch, {', '.join(map(str, shape))}): {RANGES.get(name, SIDE)}"
        for name, shape in input_shapes(settings).items()
    }
    outputs = {
        name: f"(batch, {', '.join(map(str, _shape(settings, target)))}): {ranges[target]}"
        for name, target in zip(output_names(settings, decoded), decoded, strict=True)
    }
    facts = {
        "name": settings.name,
        "task": card.task(settings),
        "trained_on": trained_on,
        "data_sha256": trained.data_sha256,
        "inputs": json.dumps(inputs),
        "outputs": json.dumps(outputs | {name: f"(batch, {LATENT}): {text}" for name, text in LATENTS.items()}),
        "joints": json.dumps(settings.skeleton.joints),
        "frame": frame,
        "joints_3d_unit": unit,
        "joints_3d_to_mm": to_mm,
        "licence": "MIT",
        "settings": json.dumps(settings.as_dict(), sort_keys=True),
    }
    return facts | ({"joints_3d_unit_mm": f"{settings.joint_unit_mm:g}"} if unit == "fixed" else {})


def _shape(settings: Settings, modality: str) -> tuple[int, ...]:
    """Of an image, or of joints one by one; without the batch."""
    if modality in IMAGE_CHANNELS:
        return (IMAGE_CHANNELS[modality], settings.crop_px, settings.crop_px)
    return (len(settings.skeleton), DIMENSIONS[modality])


def _unit(settings: Settings) -> tuple[str, str]:
    """The unit of the 3D joints in one word, and what to do to get millimetres."""
    if settings.experiment.input == "depth":
        return "half_cube", "multiply by half the cube's side in mm"
    if settings.joint_unit_mm is None:
        bone = " to ".join(settings.skeleton.joints[joint] for joint in SCALE_BONE)
        return "scale_bone", f"multiply by the length in mm of this hand's bone from {bone}"
    return "fixed", f"multiply by {settings.joint_unit_mm:g}"


def _remove_notes(model: onnx.ModelProto) -> None:
    """The exporter's notes hold paths of this machine and lines of code."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    model.producer_version = torch.__version__.partition("+")[0]  # the same for a build with and without CUDA
