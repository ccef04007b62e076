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
    manifest.unlink(missing_ok=True)  # DVC does so too: no manifest while what it describes may change
    if data.source == "synthetic":
        from handvae.synthetic import generate  # needs torch, which real data does not

        frames, image_px = settings.profile.frames[name], settings.profile.image_px[name]
        root, kind = RAW / name, "synthetic"
        generate.generate_rhd(root, frames, data.seed, image_px, workers.cores())
    else:
        root = sources.locate(name, data.source, data.sha256, RAW / "unpacked", "training/anno_training.pickle")
        kind = sources.kind(data.source)
    found = rhd.inspect(root)
    published = found["published"] and kind != "synthetic"  # at full size the synthetic set has the same counts
    facts = {"kind": kind, "description": describe(kind, data, published), "root": str(root)}
    facts |= {**found, "published": published}
    write_text(manifest, json.dumps(facts, indent=1) + "\n")
    counts = ", ".join(f"{facts['splits'][split]['frames']:,} {split}" for split in facts["splits"])
    print(f"{name}: {facts['description']}\n{root}: {counts} images")


def describe(kind: str, data: params.Source, published: bool) -> str:
    """What reports call the data: never a path, which would say where and not what."""
    if kind == "synthetic":
        return f"synthetic hands (seed {data.seed})"
    return "RHD" if published else f"{Path(data.source).name} (RHD's layout)"


if __name__ == "__main__":
    run(main, *sys.argv[1:])
