"""Source -> data/raw/<set> and its manifest data/raw/<set>.json. Usage: python -m stages.download rhd"""

import json
import sys
from pathlib import Path

from handvae import params, sources, workers
from handvae.atomic import write_text
from handvae.datasets import rhd
from handvae.errors import InputError
from stages import run

RAW = Path("data/raw")


def main(*arguments: str) -> None:
    if arguments != ("rhd",):
        raise InputError(f"usage: python -m stages.download rhd; found {' '.join(arguments) or 'no dataset'}")
    (name,) = arguments
    settings = params.load()
    data, manifest = settings.data[name], RAW / f"{name}.json"
    if data.source == "synthetic":
        from handvae.synthetic import generate  # needs torch, which real data does not

        frames, image_px = settings.profile.frames[name], settings.profile.image_px[name]
        root, kind, description = RAW / name, "synthetic", f"synthetic hands, seed {data.seed}"
        generate.generate_rhd(root, frames, data.seed, image_px, workers.cores())
    else:
        root = sources.locate(name, data.source, data.sha256, RAW / "unpacked", "training/anno_training.pickle")
        kind, description = sources.kind(data.source), data.source
    facts = rhd.inspect(root)
    published = facts["published"] and kind != "synthetic"  # at full size the synthetic set has the same counts
    write_text(
        manifest,
        json.dumps(
            {"kind": kind, "description": description, "root": str(root), "published": published, **facts}, indent=1
        )
        + "\n",
    )
    counts = ", ".join(f"{facts['splits'][split]['frames']:,} {split}" for split in facts["splits"])
    print(f"{name}: {description}\n{root}: {counts} images")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
