"""What the page's 3D viewer shows: results in, one dict out that JSON can hold, pictures as PNG data URIs.

Hands are picked by the rule of Figures 10 and 12, evenly spaced ranks of error; walks come from the cross-trained
model's predictions. handvae/report/viewer.js reads the dict.
"""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from handvae.base.errors import InputError
from handvae.report import hands, paper, style
from handvae.report.predictions import read_arrays
from handvae.report.results import Model, Result, best, mean_errors_mm, of_variant, share_of_mean_pose, weakness

HANDS = 9  # of each model
PICTURE_PX = 128  # side of a picture at most
DECODED = [f"latent/walk_{name}" for name in ("rgb_u8", "uv_px", "joints_mm", "projected_px")]  # each (W, T, ...)


def viewer_data(results: list[Result], processed: Path) -> dict:
    """`predictions`: the best model of each task with its hands, the best one from RGB first; `walks`: those of the
    cross-trained model, None without one.

    Joints in mm to a tenth, x right, y down, z away from the camera; of depth about the true hand's centre, else about
    the palm. `processed` is the folder of the preprocessed sets. InputError where a file does not fit the results.
    """
    colour = [[result] for task in paper.TASKS if (result := best(results, task))]
    rgb = sorted((model for model in colour if model[0].input == "rgb"), key=share_of_mean_pose)
    models = [*rgb, *hands.best_of_depth_sets(results), *(model for model in colour if model not in rgb)]
    cross = of_variant(results, "cross")
    return {
        "predictions": [_predictions(model, processed) for model in models],
        "walks": _walks(cross, processed) if cross else None,
    }


def _predictions(model: Model, processed: Path) -> dict:
    """A model: its name, what to know of it, its data, its bones and hands, best first."""
    first = model[0]
    depth = f"depth->3D {first.dataset.upper()}, {hands.depth_name(model)}"
    return {
        "name": depth if first.input == "depth" else f"{paper.TASKS[first.task]}, variant {first.variant}",
        "note": _note(model),
        "data": style.data_lines([model]),
        "joints": "evaluated" if first.input == "depth" else "visible",
        **_shape(first),
        "hands": [
            {
                "image": data_uri(hand_picture(hand.image_u8, hand.uv_px)),
                "truth_mm": _tenths(hand.joints_true_mm),
                "prediction_mm": _tenths(hand.joints_pred_mm),
                "error_mm": round(hand.error_mm, 1),
            }
            for hand in hands.picked_hands(model, HANDS, processed)
        ],
    }


def _note(model: Model) -> str:
    """How good the model is, and what it does not see."""
    parts = ["Mean error on its test images: {:.1f} mm; the mean pose has {:.1f} mm.".format(*mean_errors_mm(model))]
    if model[0].input == "joints_2d":
        parts.append("This model sees the 2D joints alone, not the picture.")
    return " ".join([*parts, weakness(model)]).strip()


def _walks(result: Result, processed: Path) -> dict:
    """The walks of the cross-trained model: each with the two images it leads from and to, and its decoded steps."""
    rows, names, *decoded = read_arrays(result, "latent/walk_row", "name", *DECODED)
    if broken := [name for name, values in zip(DECODED, decoded, strict=True) if not np.isfinite(values).all()]:
        raise InputError(f"{result.predictions}: expected finite numbers, found others in {', '.join(broken)}")
    walks = []
    for ends, *of_walk in zip(rows, *decoded, strict=True):
        crops = (hands.read_network_crop(result, row, names[row], processed)[0] for row in ends)
        first, last = map(data_uri, crops)
        steps = [_step(*step) for step in zip(*of_walk, strict=True)]
        walks.append({"from": first, "to": last, "steps": steps})
    return {
        "name": " ".join([f"{result.dataset.upper()}, {result.experiment}.", weakness([result])]).strip(),
        "data": style.data_lines([[result]]),
        **_shape(result),
        "walks": walks,
    }


def _step(image_u8: np.ndarray, uv_px: np.ndarray, joints_mm: np.ndarray, projected_px: np.ndarray) -> dict:
    """A decoded step; pixels as shares of the picture's side, whatever size it is drawn at."""
    shares = ((points + 0.5) / len(image_u8) for points in (uv_px, projected_px))  # centres of pixels are at integers
    uv, projected = (np.round(share.astype(float), 4).tolist() for share in shares)
    return {"image": data_uri(image_u8), "uv": uv, "projected": projected, "joints_mm": _tenths(joints_mm)}


def _shape(result: Result) -> dict:
    """Pairs and a ring of joints: the bones, and the palm's outline."""
    skeleton = result.skeleton
    return {"bones": skeleton.bones, "palm": (skeleton.palm_plane[0], *skeleton.bases)}


def hand_picture(image_u8: np.ndarray, uv_px: np.ndarray) -> np.ndarray:
    """The square of the crop (C, C, 3) that holds the joints (J, 2) with a margin, as far as the crop reaches."""
    low, high = uv_px.min(axis=0), uv_px.max(axis=0)
    size = len(image_u8)
    side = int(np.clip(np.ceil(1.2 * (high - low).max()), 8, size))
    left, top = np.clip(np.round((low + high - side) / 2), 0, size - side).astype(int)
    return image_u8[top : top + side, left : left + side]


def data_uri(image_u8: np.ndarray) -> str:
    """The square picture (S, S, 3), reduced to PICTURE_PX, as a PNG in a URI; the same picture gives the same text."""
    picture, buffer = Image.fromarray(image_u8), io.BytesIO()
    if len(image_u8) > PICTURE_PX:
        picture = picture.resize((PICTURE_PX, PICTURE_PX), Image.Resampling.LANCZOS)
    picture.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _tenths(joints_mm: np.ndarray) -> list[list[float]]:
    return np.round(joints_mm.astype(float), 1).tolist()
