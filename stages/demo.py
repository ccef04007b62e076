"""The repository's models on fresh synthetic pictures of every set, and a latent space to play with: one page, a minute

demo/index.html shows what each model makes of hands that it has not seen, with its error; demo/latent.html is the page
of stages.latent. Both open in the browser, unless --no-browser is given.
"""

import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Any

import torch

from handvae.base import atomic, params
from handvae.base.dataset_params import frames_options
from handvae.datasets.sample import DepthSample, Sample
from handvae.datasets.sets import DATASETS, TITLES
from handvae.detection.detect import Detector
from handvae.detection.frames import evenly
from handvae.model import devices
from handvae.prediction import demo_page, models
from handvae.prediction.finders import NAME
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


def main(*words: str) -> None:
    parser = command_line("stages.demo", __doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="FOLDER")
    parser.add_argument("--no-browser", action="store_true")
    given, loaded = parser.parse_args(words), params.load()
    devices.make_repeatable(cpu := torch.device("cpu"))
    detector, sections = Detector.load(models.SHIPPED / NAME), {}
    for name, model in MODELS.items():
        trained, path = models.load(str(shipped(model)), cpu)
        figures = [demo_page.figure(trained, detector, sample) for sample in synthetic_samples(name, loaded)]
        sections[f"{TITLES[name]}: {model}"] = str(path), figures
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
