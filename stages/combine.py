"""data/processed/<set>.h5 of two sets -> data/processed/<a>+<b>.h5. Usage: python -m stages.combine rhd stb

The file holds no hands, only what the two sets' files are: an experiment on both depends on it and reads them.
"""

import sys
from pathlib import Path

from handvae.preprocessing import store
from stages import run


def main(first: str, second: str) -> None:
    folder = Path("data/processed")
    path = folder / f"{first}+{second}.h5"
    store.write_combined(path, [folder / f"{first}.h5", folder / f"{second}.h5"])
    print(f"{path}: names the preprocessed {first} and {second}, which experiments on both are trained on")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
