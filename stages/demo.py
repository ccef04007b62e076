"""The repository's models on fresh synthetic pictures of every set, and a latent space to play with: one page, a minute

demo/index.html shows what each model makes of hands that it has not seen, with its error; demo/latent.html is the page
of stages.latent. Both open in the browser, unless --no-browser is given.
"""

import sys
import tempfile
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from handvae.base import atomic, geometry, params
from handvae.base.dataset_params import frames_options
from handvae.base.joints import ROOT
from handvae.datasets.sample import DepthSample, Sample
from handvae.datasets.sets import DATASETS, TITLES
from handvae.detection.detect import Detector
from handvae.detection.frames import evenly
from handvae.model import devices
from handvae.model.checkpoints import Trained
from handvae.prediction import demo_page, depth_view, models, overlay, poses
from handvae.prediction.demo_page import Shown
from handvae.prediction.finders import NAME, from_detector
from handvae.prediction.hands import ColourPredictor, Frame
from handvae.prediction.outputs import drawn
from handvae.synthetic import generate
from stages import command_line, latent, run

SEED = 1000  # of the demo's hands: the sets of params.yaml have others
HANDS = 3  # of each set
SIZES: dict[str, dict[str, int | None]] = {
    "rhd": {"training": 1, "evaluation": 6, "image_px": 160},
    "stb": {"sequence": 2, "background_frames": 1},
    "icvl": {"training": 1, "evaluation": 6},
    "nyu": {"training": 1, "evaluation": 6},
    "msra": {"gesture": 1},
}
MODELS = {
    "rhd": "rhd-rgb-v1",
    "stb": "stb-rgb-v2",
    "icvl": "icvl-resnet18",
    "nyu": "nyu-resnet18",
    "msra": "msra-resnet18-p0",
}


@dataclass(frozen=True)
class Demo:
    """What predicts: the models of a set, and the detector for RGB."""

    trained: Trained
    detector: Detector

    def shown(self, sample: Sample | DepthSample) -> Shown:
        """A sample as the page shows it."""
        is_depth = isinstance(sample, DepthSample)
        return self._of_depth(sample) if is_depth else self._of_colour(sample)

    def _of_colour(self, sample: Sample) -> Shown:
        bone_mm = float(geometry.scale_bone_mm(sample.joints_mm))
        predictor = ColourPredictor(self.trained, from_detector(self.detector, sample.side), bone_mm, sample.side)
        (hands,) = predictor.hands([Frame(sample.name, 0, 0.0, sample.image_u8)])
        picture = overlay.draw(sample.image_u8, drawn(hands[:1]), 1)
        if not hands:
            return Shown(picture, f"{sample.name}: the detector saw no hand")
        true_mm = sample.joints_mm - sample.joints_mm[ROOT]
        error_mm = np.linalg.norm(hands[0].joints_mm - true_mm, axis=1)[sample.visible].mean()
        return Shown(
            picture, f"{sample.name}: mean error {error_mm:.0f} mm; place by the detector, side and scale told"
        )

    def _of_depth(self, sample: DepthSample) -> Shown:
        centre_mm = sample.joints_mm[sample.centre_joint]
        cube = ([sample.depth_mm], [sample.camera], [centre_mm], sample.cube_mm, [sample.side])
        joints_mm = poses.predict(self.trained, poses.depth_split(self.trained, *cube)).joints_mm[0]
        skeleton = self.trained.settings.skeleton
        evaluated = list(skeleton.evaluated)
        error_mm = np.linalg.norm(joints_mm - sample.joints_mm, axis=1)[evaluated].mean()
        uv_px = geometry.project(joints_mm, sample.camera)
        picture = depth_view.grey(sample.depth_mm, float(centre_mm[2]), sample.cube_mm)
        hand = overlay.DrawnHand(skeleton, uv_px, joints_mm, None, "")
        return Shown(overlay.draw(picture, [hand], 1), f"{sample.name}: mean error {error_mm:.0f} mm; place told")


def main(*words: str) -> None:
    parser = command_line("stages.demo", __doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="FOLDER")
    parser.add_argument("--no-browser", action="store_true")
    given, loaded = parser.parse_args(words), params.load()
    devices.make_repeatable(cpu := torch.device("cpu"))
    detector, sections = Detector.load(models.SHIPPED / NAME), {}
    for name, model in MODELS.items():
        trained, path = models.load(str(shipped(model)), cpu)
        demo = Demo(trained, detector)
        samples = synthetic_samples(name, loaded)
        sections[f"{TITLES[name]}: {model}"] = ([demo.shown(sample) for sample in samples], str(path))
    page = given.out / "index.html"
    atomic.write_text(page, demo_page.page(sections))
    latent.main(str(shipped(latent.DEFAULT)), "--out", str(given.out / "latent.html"))
    print(f"demo: wrote {page}, with a link to {given.out / 'latent.html'}")
    if not given.no_browser:
        webbrowser.open(page.resolve().as_uri())


def shipped(name: str) -> Path:
    """The repository's file of a model, whatever was trained here under that name."""
    return models.SHIPPED / f"{name}{models.SUFFIX}"


def synthetic_samples(name: str, loaded: params.Params) -> list[Sample | DepthSample]:
    """Some test hands of a small synthetic set of its own."""
    dataset: Any = DATASETS[name]
    with tempfile.TemporaryDirectory() as folder:
        generate.generate(name, Path(folder) / name, SIZES[name], SEED, 1)
        frames = dataset.frames(Path(folder) / name, **frames_options(loaded.data[name].protocol))
        chosen = evenly(frames.get("test") or next(iter(frames.values())), HANDS)
        return [dataset.read(frame)[0] for frame in chosen]


if __name__ == "__main__":
    run(main, *sys.argv[1:])
