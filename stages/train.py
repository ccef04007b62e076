"""data/processed/<set>.h5 -> models/<name>/ of a row of the grid, or of your experiment

A row of the grid has as many models as `seeds` says, or `repeated_seeds` if it is repeated: the first in
models/<name>/, the others in its folders seed-<n>. Until all are trained, what is finished waits in
checkpoints/<name>/. Ctrl-C saves, and the same command goes on.
Needs torch, numpy, h5py, PyYAML and tqdm only, no DVC and no git.
"""

import sys
from pathlib import Path

from handvae.base import params, workspace
from handvae.model import devices, parts, seeds
from handvae.model.settings import settings_of
from stages import command_line, run


def main(*words: str) -> None:
    parser = command_line("stages.train", __doc__)
    parser.add_argument("name", nargs="?", default=params.OWN, help="a row of the grid; without it: your experiment")
    name = parser.parse_args(words).name
    loaded = params.load()
    device = devices.choose(loaded.device, loaded.profile.needs_gpu)
    devices.keep_freed_memory()
    devices.make_repeatable(device)
    trained_on = parts.training_parts(Path("data/processed"), loaded.experiment(name))
    models = [settings_of(loaded, name, number) for number in range(loaded.models_of(name))]
    init = Path(workspace.source(loaded.init)) if name == params.OWN and loaded.init else None
    folders = Path(f"models/{name}"), Path(f"checkpoints/{name}")
    seeds.train_all(models, trained_on, *folders, device, loaded.resident, init)


if __name__ == "__main__":
    run(main, *sys.argv[1:])
