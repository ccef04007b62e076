"""data/processed/<set>.h5 of two sets -> data/processed/<a>+<b>.h5

The file holds no hands, only what the two sets' files are: an experiment on both depends on it and reads them.
"""

import sys
from pathlib import Path

from handvae.base.dataset_params import DATASETS
from handvae.preprocessing import store
from stages import command_line, run


def main(*words: str) -> None:
    parser = command_line("stages.combine", __doc__)
    for name in ("first", "second"):
        parser.add_argument(name, choices=DATASETS)
    given = parser.parse_args(words)
    folder = Path("data/processed")
    path = folder / f"{given.first}+{given.second}.h5"
    store.write_combined(path, [folder / f"{given.first}.h5", folder / f"{given.second}.h5"])
    print(f"{path}: names the preprocessed {given.first} and {given.second}, which experiments on both are trained on")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
