"""A page to move through the latent space of a cross-trained model: one HTML file that needs no network.

The model is a row that was trained here, a model's file or folder, or one of the repository's.
"""

import sys
from pathlib import Path

import torch

from handvae.base import atomic
from handvae.base.errors import InputError
from handvae.base.sections import OWN
from handvae.model.settings import Settings
from handvae.prediction import directions, latent_page, models, portable
from handvae.prediction.directions import Directions
from stages import command_line, run

DEFAULT = "stb-cross"


def main(*words: str) -> None:
    parser = command_line("stages.latent", __doc__)
    parser.add_argument("name", nargs="?", default=DEFAULT, help=f"the model; without it: {DEFAULT}")
    parser.add_argument("--out", type=Path, default=Path("latent.html"), help="the page; without it: latent.html")
    given = parser.parse_args(words)
    trained, path = models.load(given.name, torch.device("cpu"))
    if len(views := directions.views(trained.settings)) < 2:
        found = ", ".join(views) or "none"
        raise InputError(f"{path}: expected a model that decodes several modalities, found {found}; take {DEFAULT}")
    along = portable.load_directions(path) if path.is_file() else of_folder(path, trained.settings)
    text = latent_page.page(trained, along)
    atomic.write_text(given.out, text)
    print(f"latent: wrote {given.out}, {len(text) / 1e6:.1f} MB: {', '.join(views)}; open it in a browser")


def of_folder(path: Path, settings: Settings) -> Directions:
    """Those of a model folder, models/<name>, from the predictions beside models/."""
    data = path.absolute().parents[1] / "data"
    predictions = data / ("experiment.h5" if path.name == OWN else f"predictions/{path.name}.h5")
    return directions.of_predictions(predictions, settings)


if __name__ == "__main__":
    run(main, *sys.argv[1:])
