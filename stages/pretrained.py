"""Trained rows of the grid -> pretrained/: models to take along, a file in half precision and a card each

Of a row that has several seeds the first model. The detector goes along where it is trained. Refused where a row is not
what params.yaml and the code make, or where the code is not that of the commit which the cards name.
"""

import json
import sys
from pathlib import Path

import pandas as pd
import torch

from handvae.base import atomic, params
from handvae.detection.detect import Detector
from handvae.model import checkpoints
from handvae.prediction import card, directions, models, portable
from handvae.prediction.finders import NAME
from handvae.preprocessing import store
from stages import command_line, evaluate_detector, run, snapshot
from stages.train_detector import SETS, labelled

PROCESSED, PREDICTIONS, METRICS = Path("data/processed"), Path("data/predictions"), Path("data/metrics")
DETECTOR = models.TRAINED / NAME


def main(*words: str) -> None:
    parser = command_line("stages.pretrained", __doc__)
    parser.add_argument("rows", nargs="+", metavar="ROW")
    parser.add_argument("--out", type=Path, default=models.SHIPPED, metavar="FOLDER")
    given, loaded = parser.parse_args(words), params.load()
    rows = {name: loaded.experiment(name) for name in given.rows}
    commit = snapshot.commit_of_code()
    stages = [f"evaluate_paper@{name}" for name in rows] + ["evaluate_detector"] * DETECTOR.is_file()
    remedy = f"python -m stages.grid {' '.join(rows)}" + "; dvc repro evaluate_detector" * DETECTOR.is_file()
    snapshot.check_up_to_date(", ".join(rows), stages, remedy)
    facts = {"commit": commit, "versions": snapshot.versions()}
    made_by = snapshot.command(commit, list(rows))
    for name, row in rows.items():
        write_model(given.out, name, row.datasets, facts | {"made by": made_by})
    if DETECTOR.is_file():
        trained_of = {row.dataset: name for name, row in reversed(rows.items()) if row.input == "rgb"}
        made_by = f"`dvc repro evaluate_detector`, profile {loaded.profile_name}"
        write_detector(given.out, loaded, trained_of, facts | {"made by": made_by})
    write_list(given.out)
    size = sum(file.stat().st_size for file in given.out.iterdir())
    print(f"{given.out}: {len(list(given.out.glob('*' + models.SUFFIX)))} models with a card each, {size / 1e6:.1f} MB")


def write_model(folder: Path, name: str, datasets: list[str], facts: dict[str, str]) -> None:
    """The first model of a row as `folder`/<name>.safetensors, and its card <name>.md."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}{models.SUFFIX}"
    trained = checkpoints.load_model(models.TRAINED / name, torch.device("cpu"))
    along = len(directions.views(trained.settings)) > 1
    latent = directions.of_predictions(PREDICTIONS / f"{name}.h5", trained.settings) if along else None
    portable.save(file, trained, latent)
    metrics = json.loads((METRICS / f"{name}.json").read_text())
    data = "; ".join(store.attributes(PROCESSED / f"{dataset}.h5")["source"] for dataset in datasets)
    of_first = metrics.get(datasets[0], metrics)
    atomic.write_text(folder / f"{name}.md", card.text(trained.settings, file.stat().st_size, facts, of_first, data))


def write_list(folder: Path) -> None:
    """README.md: the models of the folder, what they do, their cards."""
    lines = []
    for file in sorted(folder.glob(f"*{models.SUFFIX}")):
        of_hands = file.name == NAME
        task = "hands in whole pictures" if of_hands else card.task(portable.load(file, torch.device("cpu")).settings)
        lines.append(f"| [{file.stem}]({file.stem}.md) | {task} | {file.stat().st_size / 1e6:.1f} MB |")
    atomic.write_text(folder / "README.md", card.list_text(lines))


def write_detector(folder: Path, loaded: params.Params, trained_of: dict[str, str], facts: dict[str, str]) -> None:
    """The detector as it is, and its card with the table of its scores, and of what its boxes cost the models of the
    rows that `trained_of` names by set."""
    detector, scores = Detector.load(DETECTOR), []
    certain, sure_of_side = detector.thresholds.certain, 100 * detector.thresholds.sure_of_side
    facts |= {
        "trained on": detector.data,
        "thresholds, set on a part of the training frames": f"a hand from a score of {certain:g} on, "
        f"its side from a probability of {sure_of_side:g} % on",
    }
    for name in SETS:
        row = trained_of.get(name)
        trained = checkpoints.load_model(models.TRAINED / row, torch.device("cpu")) if row else None
        test = labelled(name, loaded, "test", sys.maxsize)
        scores.append({"dataset": name, **evaluate_detector.of_set(name, test, detector, trained)})
    atomic.write_bytes(folder / NAME, DETECTOR.read_bytes())
    picture_px = detector.settings.picture_px
    text = card.detector_text(DETECTOR.stat().st_size, facts, pd.DataFrame(scores), picture_px)
    atomic.write_text(folder / f"{DETECTOR.stem}.md", text)


if __name__ == "__main__":
    run(main, *sys.argv[1:])
