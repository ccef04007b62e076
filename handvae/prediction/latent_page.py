"""A page on which one moves through a model's latent space: sliders, and what its decoders make of the point.

The decoders run in the browser. Their weights lie in the page as float16, BatchNorm folded into the layer before it;
latent_decoders.js has their forward pass, and latent_page.js reads the JSON that is made here.
"""

import base64
import html
import json
from itertools import zip_longest
from pathlib import Path
from string import Template
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from handvae.base.errors import InputError
from handvae.base.joints import MIDDLE_MCP
from handvae.model.checkpoints import Trained
from handvae.model.networks import ImageDecoder
from handvae.model.settings import Settings
from handvae.model.vae import IMAGE_CHANNELS
from handvae.prediction import directions
from handvae.prediction.directions import Directions

WORDS = {"rgb": "an RGB image", "depth": "a depth image", "joints_2d": "2D joints", "joints_3d": "3D joints"}
REACH_SD = 3  # of a slider, and of the random hands
HANDS, SEED = 100, 0  # the random hands, the same ones in every page
SLIDER = (
    '<label><span>{number}: {percent:.0f} %</span><input type="range" min="-3" max="3" step="0.1" '
    'aria-label="direction {number}, {percent:.0f} % of the variance"><output></output></label>'
)
SYNTHETIC = "The model was trained on synthetic hands only: what it shows is not how real hands look."
REAL = "What it shows is like the hands that it was trained on; no camera saw it."


class Layer(NamedTuple):
    """linear: `inputs` numbers to `outputs`. doubled: an image (side, side, inputs) to (2 side, 2 side, outputs)."""

    kind: str
    inputs: int
    outputs: int
    side: int  # of the image that comes in; 0 of a linear layer
    weight: np.ndarray  # linear: (outputs, inputs); doubled: (inputs, 4, 4, outputs)
    bias: np.ndarray  # (outputs,)


def page(trained: Trained, along: Directions) -> str:
    """The page as HTML, with all that it needs, for a model with the directions `along` of its latent space.

    InputError where a weight is too large for half precision.
    """
    model, settings, _ = trained
    names = {view: "image" if view in IMAGE_CHANNELS else view for view in directions.views(settings)}
    decoders = {name: layers(model.decoders[view]) for view, name in names.items()}
    hands = np.random.default_rng(SEED).standard_normal((HANDS, len(along.sd)))  # as likely as those encoded
    weights = [values for of_view in decoders.values() for layer in of_view for values in (layer.weight, layer.bias)]
    data = {
        "decoders": {name: [layer[:4] for layer in of_view] for name, of_view in decoders.items()},
        "mean": along.mean.tolist(),
        "steps": (along.axes * along.sd[:, None]).tolist(),  # of one standard deviation each
        "hands": np.clip(hands, -REACH_SD, REACH_SD).round(2).tolist(),
        "bones": settings.skeleton.bones,
        "palm": (settings.skeleton.palm_plane[0], *settings.skeleton.bases),
        "centre": MIDDLE_MCP,  # the joint in the middle of an RGB crop
        "unit": unit(settings),
        "weights": base64.b64encode(halves(weights, settings.name)).decode(),
    }
    # a closing tag inside the data would end the script that holds it
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return Template(_delivered("latent_page.html")).substitute(
        name=html.escape(settings.name),
        sliders="\n".join(SLIDER.format(number=i, percent=100 * share) for i, share in enumerate(along.share, 1)),
        lines="\n".join(f"<p>{html.escape(line)}</p>" for line in lines(settings, along)),
        data=text,
        scripts="\n".join(map(_delivered, ("latent_decoders.js", "latent_page.js"))),
    )


def _delivered(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


def lines(settings: Settings, along: Directions) -> list[str]:
    """What one sees, in plain sentences."""
    views = [WORDS[view] for view in directions.views(settings)]
    varying = "the direction" if len(along.sd) == 1 else f"the {len(along.sd)} directions"
    limit = SYNTHETIC if "synthetic" in along.data else REAL
    return [
        f"One point of the model's latent space is decoded into {', '.join(views[:-1])} and {views[-1]}, here in the "
        "page. All of them should show the same pose.",
        f"The sliders are {varying} in which its encodings of {along.encoded:,} test hands vary most, in standard "
        f"deviations (sd) from their mean: {100 * along.share.sum():.0f}\u00a0% of the variance.",
        f"{limit} Data: {along.data}.",
    ]


def unit(settings: Settings) -> dict:
    """What decoded 3D joints are multiplied by to be drawn, and a length in it with its name for the scale bar."""
    if settings.experiment.input == "depth":
        return {"factor": 1, "length": 0.5, "name": "a quarter of the cube's side"}
    if settings.joint_unit_mm is None:
        return {"factor": 1, "length": 1, "name": "middle finger, MCP to PIP"}
    return {"factor": settings.joint_unit_mm, "length": 50, "name": "50 mm"}


def layers(decoder: nn.Module) -> list[Layer]:
    """The decoder's layers in evaluation mode, in float64; between two of them stands a ReLU."""
    if not isinstance(decoder, ImageDecoder):
        return [_linear(module) for module in decoder if isinstance(module, nn.Linear)]
    linear, norm, _ = decoder.first
    first, channels = _linear(linear, norm), decoder.blocks[1].in_channels
    # torch's features are (channel, pixel), those of the page (pixel, channel)
    weight = first.weight.reshape(channels, 16, -1).swapaxes(0, 1).reshape(first.weight.shape)
    result = [first._replace(weight=weight, bias=first.bias.reshape(channels, 16).T.ravel())]
    of_blocks = list(decoder.blocks)[1:]  # convolution, norm, ReLU and so on; the last convolution has no norm
    for number, (module, norm) in enumerate(zip_longest(of_blocks[::3], of_blocks[1::3])):
        scale, bias = _folded(module.bias, norm)
        weight = (module.weight.detach().double() * scale[:, None, None]).permute(0, 2, 3, 1)
        sizes = module.in_channels, module.out_channels, 4 << number
        result.append(Layer("doubled", *sizes, weight.numpy(), bias.numpy()))
    return result


def _linear(module: nn.Linear, norm: nn.BatchNorm1d | None = None) -> Layer:
    scale, bias = _folded(module.bias, norm)
    weight = module.weight.detach().double() * scale[:, None]
    return Layer("linear", module.in_features, module.out_features, 0, weight.numpy(), bias.numpy())


def _folded(bias: torch.Tensor, norm: nn.BatchNorm1d | nn.BatchNorm2d | None) -> tuple[torch.Tensor, torch.Tensor]:
    """What a layer's outputs (B,) are multiplied by for the BatchNorm after it, and the bias then; float64."""
    bias = bias.detach().double()
    if norm is None:
        return torch.ones_like(bias), bias
    gain, offset, mean, variance = (
        values.detach().double() for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    scale = gain / torch.sqrt(variance + norm.eps)
    return scale, (bias - mean) * scale + offset


def halves(weights: list[np.ndarray], name: str) -> bytes:
    """All weights one after the other as little-endian float16."""
    joined = np.concatenate([values.ravel() for values in weights])
    if not np.abs(joined).max() <= np.finfo(np.float16).max:
        raise InputError(f"{name}: expected weights of half precision, found {np.abs(joined).max():g}; train it again")
    return joined.astype("<f2").tobytes()
