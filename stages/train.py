"""data/processed/<set>.h5 -> models/<name>/. Usage: python -m stages.train [name of the grid; default: your experiment]

A row of the grid has as many models as `seeds` says, or `repeated_seeds` if it is repeated: the first in
models/<name>/, the others in its folders seed-<n>. Until all are trained, what is finished waits in
checkpoints/<name>/. Ctrl-C saves, and the same command goes on.
Needs torch, numpy, h5py and PyYAML only, no DVC and no git.
"""

import sys
from pathlib import Path

from handvae.base import params
from handvae.model import devices, parts, seeds, training
from handvae.model.settings import settings_of
from stages import run


def main(name: str = params.OWN) -> None:
    loaded = params.load()
    device = devices.choose(loaded.device, loaded.profile.needs_gpu)
    training.keep_freed_memory()
    devices.make_repeatable(device)
    trained_on = parts.training_parts(Path("data/processed"), loaded.experiment(name))
    models = [settings_of(loaded, name, number) for number in range(loaded.models_of(name))]
    seeds.train_all(models, trained_on, Path(f"models/{name}"), Path(f"checkpoints/{name}"), device, loaded.resident)


if __name__ == "__main__":
    run(main, *sys.argv[1:])
