"""Scores published depth predictions: mean and median error, PCF and PCK.

Both files are text with one line a frame, u v d (px px mm) a joint; errors are in absolute camera coordinates.
"""

import json
import sys
from pathlib import Path

from handvae.base.dataset_params import DATASETS
from handvae.evaluation import published
from stages import command_line, run


def main(*words: str) -> None:
    parser = command_line("stages.score", __doc__)
    parser.add_argument("set", choices=[name for name, dataset in DATASETS.items() if dataset.is_depth])
    parser.add_argument("truth", type=Path)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    given = parser.parse_args(words)
    truth, predictions = given.truth.expanduser(), given.predictions.expanduser()
    result = published.score(given.set, truth, predictions)
    if given.json:
        print(json.dumps(published.as_dict(result)))
    else:
        print(f"{predictions.name} against {truth.name}\n{published.as_text(result)}")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
