"""The five datasets by name. Each is a module with the same functions:

find(folder) -> root, inspect(root) -> {"published", "splits", "notes"}, frames(root, **protocol) -> {group: frames},
read(frame) -> samples, labelled_hands(root) -> all labels; and what writes the set's files, for the synthetic hand.
"""

from handvae.datasets import icvl, msra, nyu, rhd, stb

TITLES = {"rhd": "RHD", "stb": "STB", "icvl": "ICVL", "nyu": "NYU", "msra": "MSRA15"}
DATASETS = {"rhd": rhd, "stb": stb, "icvl": icvl, "nyu": nyu, "msra": msra}
