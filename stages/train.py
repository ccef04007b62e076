"""data/processed/<set>.h5 -> models/<name>/. Usage: python -m stages.train [name of the grid; default: your experiment]

Needs torch, torchvision, numpy, h5py and PyYAML only, no DVC and no git.
"""

import os
import sys
from pathlib import Path

import torch

from handvae import params, training
from handvae.settings import settings_of
from stages import run


def main(name: str = params.OWN) -> None:
    settings = settings_of(params.load(), name)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    training.keep_freed_memory()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only with a fixed workspace
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    torch.backends.cudnn.benchmark = False
    data = Path(f"data/processed/{settings.experiment.dataset}.h5")
    training.train(settings, data, Path(f"models/{name}"), Path(f"checkpoints/{name}.pt"), device)


if __name__ == "__main__":
    run(main, *sys.argv[1:])
