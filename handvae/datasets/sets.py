"""The five datasets by name. Each is a module with the same functions:

find(folder) -> root, inspect(root) -> {"published", "splits", "notes"}, frames(root, **protocol) -> {group: frames},
read(frame) -> samples, labelled_hands(root) -> all labels; and what writes the set's files, for the synthetic hand.
"""

from pathlib import Path

from handvae.base.errors import InputError
from handvae.datasets import icvl, labels, msra, nyu, rhd, stb

TITLES = {"rhd": "RHD", "stb": "STB", "icvl": "ICVL", "nyu": "NYU", "msra": "MSRA15"}
DATASETS = {"rhd": rhd, "stb": stb, "icvl": icvl, "nyu": nyu, "msra": msra}


def find(name: str, folder: Path) -> Path:
    """The root of a set as its module finds it in a folder that somebody gave. InputError that says what was meant, if
    the set lies above or below, or the folder holds another one."""
    try:
        return DATASETS[name].find(folder)
    except InputError as error:
        if not folder.is_dir():
            raise
        here = folder.resolve()
        inside = [here / name for name in labels.names_in(here)]
        near = [root for place in (here.parent, *inside) if (root := _found(name, place))]
        others = [TITLES[other] for other in DATASETS if other != name and _found(other, here)]
        hints = [f"the set is in {root}" for root in near[:1]] + [f"this looks like {title}" for title in others]
        raise InputError("; ".join([str(error), *hints])) from None


def _found(name: str, folder: Path) -> Path | None:
    try:
        return DATASETS[name].find(folder)
    except (InputError, OSError):
        return None
