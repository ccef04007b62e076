"""A trained model as one file for other programs: an ONNX graph.

It goes from the model's input to 3D joints, to all else that the model decodes, and to the latent. Its metadata says
what goes in and what comes out. docs/export.md runs it in Python and JavaScript.
"""

import re
import sys
from pathlib import Path

import torch

from handvae.base import atomic
from handvae.base.errors import InputError
from handvae.base.sections import MODALITIES
from handvae.model import parts
from handvae.model.checkpoints import Trained
from handvae.prediction import models, onnx_graph
from handvae.preprocessing import store
from stages import command_line, run

EXPORTS, PROCESSED = Path("exports"), Path("data/processed")


def main(*words: str) -> None:
    parser = command_line("stages.export", __doc__)
    parser.add_argument("name", help="a trained model: a row, a folder, a file, or one of the repository")
    parser.add_argument("--onnx", action="store_true", required=True, help="the format")
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"without it: {EXPORTS}/<name>.onnx")
    parser.add_argument(
        "--target", choices=MODALITIES, metavar="MODALITY", help=f"decode to it alone: {', '.join(MODALITIES)}"
    )
    given = parser.parse_args(words)
    trained, source = models.load(given.name, torch.device("cpu"))
    out = (given.out or EXPORTS / f"{trained.settings.name}.onnx").expanduser()
    content = onnx_graph.export(trained, trained_on(trained, source), given.target)
    atomic.write_bytes(out, content)
    print(f"export: wrote {out}, {len(content) / 1e6:.1f} MB: {onnx_graph.signature(trained.settings, given.target)}")


def trained_on(trained: Trained, source: Path) -> str:
    """The data in words: by the card beside the model's file, or by the preprocessed sets if they are still the same.

    Without both it is the sets' names alone, and that no more is known.
    """
    experiment, page = trained.settings.experiment, source.with_suffix(".md")
    if source.is_file() and page.is_file():
        rows = re.findall(r"^\| trained on \| (.+) \|$", page.read_text("utf-8"), re.MULTILINE)
        if rows:
            return rows[0]
    try:
        sets = parts.training_parts(PROCESSED, experiment)
        if parts.digest(sets) == trained.data_sha256:
            return "; ".join(str(store.attributes(part.path)["source"]) for part in sets)
    except InputError:
        pass  # the data is not here, which an export does not need
    return f"{' and '.join(name.upper() for name in experiment.datasets)}, whether synthetic or real is not known"


if __name__ == "__main__":
    run(main, *sys.argv[1:])
