"""data/processed/<set>.h5 -> models/<name>/. Usage: python -m stages.train [name of the grid; default: your experiment]

A row of the grid has as many models as `seeds` says: the first in models/<name>/, the others in its folders seed-<n>.
Needs torch, torchvision, numpy, h5py and PyYAML only, no DVC and no git.
"""

import os
import sys
from pathlib import Path

import torch

from handvae.base import params
from handvae.model import checkpoints, parts, training
from handvae.model.settings import settings_of
from stages import run


def main(name: str = params.OWN) -> None:
    loaded = params.load()
    seeds = 1 if name == params.OWN else loaded.seeds
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    training.keep_freed_memory()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only with a fixed workspace
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    torch.backends.cudnn.benchmark = False
    trained_on = parts.training_parts(Path("data/processed"), loaded.experiment(name))
    for number in range(seeds):
        folder = checkpoints.seed_folder(Path(f"models/{name}"), number)
        checkpoint = Path("checkpoints") / (f"{name}-{folder.name}.pt" if number else f"{name}.pt")
        training.train(settings_of(loaded, name, number), trained_on, folder, checkpoint, device)


if __name__ == "__main__":
    run(main, *sys.argv[1:])
