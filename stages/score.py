"""Scores published depth predictions. Usage: python -m stages.score icvl|nyu|msra TRUTH PREDICTIONS [--json]

Both are text files with one line a frame, u v d (px px mm) a joint; errors are in absolute camera coordinates.
"""

import json
import os
import sys
from pathlib import Path

from handvae.base.errors import InputError
from handvae.evaluation import published
from stages import run


def main(dataset: str, truth: str, predictions: str, option: str = "") -> None:
    if option not in ("", "--json"):
        raise InputError(f"stages.score: expected one file of predictions and perhaps --json, found {option!r} as well")
    truth, predictions = os.path.expanduser(truth), os.path.expanduser(predictions)
    result = published.score(dataset, Path(truth), Path(predictions))
    if option:
        print(json.dumps(published.as_dict(result)))
    else:
        print(f"{Path(predictions).name} against {Path(truth).name}\n{published.as_text(result)}")


if __name__ == "__main__":
    run(main, *sorted(sys.argv[1:], key=lambda word: word == "--json"))  # the option may stand anywhere
