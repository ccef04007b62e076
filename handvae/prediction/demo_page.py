"""The demo's page: what models make of labelled samples, as pictures in one HTML file that needs no network."""

import base64
import html
import io
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image

from handvae.base import geometry
from handvae.base.joints import ROOT
from handvae.datasets.sample import DepthSample, Sample
from handvae.detection.detect import Detector
from handvae.model.checkpoints import Trained
from handvae.prediction import overlay, poses
from handvae.prediction.finders import from_detector
from handvae.prediction.hands import ColourPredictor
from handvae.prediction.outputs import drawn
from handvae.prediction.pictures import Frame


def page(sections: dict[str, tuple[str, list[str]]]) -> str:
    """HTML of the sections: title -> the file of the model, and its figures."""
    parts = [
        "\n".join([f"<h2>{html.escape(title)}</h2>", f"<p><code>{html.escape(model)}</code></p>", *figures])
        for title, (model, figures) in sections.items()
    ]
    return Template(Path(__file__).with_name("demo_page.html").read_text("utf-8")).substitute(sections="\n".join(parts))


def figure(trained: Trained, detector: Detector, sample: Sample | DepthSample) -> str:
    """The sample with its predicted hand, and the error, as HTML. `detector`: of the place in an RGB image."""
    if isinstance(sample, DepthSample):
        picture_u8, text = _of_depth(trained, sample)
    else:
        picture_u8, text = _of_colour(trained, detector, sample)
    buffer, caption = io.BytesIO(), html.escape(f"{sample.name}: {text}")
    Image.fromarray(picture_u8).save(buffer, "jpeg", quality=85)
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<figure><img alt="{caption}" src="data:image/jpeg;base64,{data}"><figcaption>{caption}</figcaption></figure>'
    )


def _of_colour(trained: Trained, detector: Detector, sample: Sample) -> tuple[np.ndarray, str]:
    bone_mm = float(geometry.scale_bone_mm(sample.joints_mm))
    predictor = ColourPredictor(trained, from_detector(detector, sample.side), bone_mm, sample.side)
    (hands,) = predictor.hands([Frame(sample.name, 0, 0.0, sample.image_u8)])
    picture_u8 = overlay.draw(sample.image_u8, drawn(hands[:1]), 1)
    if not hands:
        return picture_u8, "the detector saw no hand"
    true_mm = sample.joints_mm - sample.joints_mm[ROOT]
    error_mm = np.linalg.norm(hands[0].joints_mm - true_mm, axis=1)[sample.visible].mean()
    return picture_u8, f"mean error {error_mm:.0f} mm; place by the detector, side and scale told"


def _of_depth(trained: Trained, sample: DepthSample) -> tuple[np.ndarray, str]:
    centre_mm, skeleton = sample.joints_mm[sample.centre_joint], trained.settings.skeleton
    cube = ([sample.depth_mm], [sample.camera], [centre_mm], sample.cube_mm, [sample.side])
    joints_mm = poses.predict(trained, poses.depth_split(trained, *cube)).joints_mm[0]
    error_mm = np.linalg.norm(joints_mm - sample.joints_mm, axis=1)[list(skeleton.evaluated)].mean()
    hand = overlay.DrawnHand(skeleton, geometry.project(joints_mm, sample.camera), joints_mm, None, "")
    picture_u8 = overlay.draw(overlay.grey(sample.depth_mm, float(centre_mm[2]), sample.cube_mm), [hand], 1)
    return picture_u8, f"mean error {error_mm:.0f} mm; place told"
