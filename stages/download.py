"""The source of a set in params.yaml -> data/raw/<set> and its manifest <set>.json."""

import json
import os
import sys
from functools import partial
from pathlib import Path

from handvae.base import params, workers, workspace
from handvae.base.atomic import write_text
from handvae.datasets import sets
from handvae.datasets.sets import DATASETS, TITLES
from handvae.download import sources
from stages import command_line, run

RAW = Path("data/raw")


def main(*words: str) -> None:
    parser = command_line("stages.download", __doc__)
    parser.add_argument("set", choices=DATASETS)
    name = parser.parse_args(words).set
    settings = params.load()
    data, manifest, dataset = settings.data[name], RAW / f"{name}.json", DATASETS[name]
    manifest.unlink(missing_ok=True)  # DVC does so too: no manifest while what it describes may change
    if data.source == "synthetic":
        from handvae.synthetic import generate  # needs torch, which real data does not

        root, source_type = RAW / name, "synthetic"
        generate.generate(name, root, settings.profile.synthetic[name], data.seed, workers.cores())
    else:
        source = workspace.source(data.source)
        source_type = sources.source_type(source)
        # beside a folder that somebody gave may lie the one that was meant; beside an unpacked archive lies nothing
        find = partial(sets.find, name) if source_type == "folder" else dataset.find
        root = sources.locate(name, source, data.sha256, RAW / "unpacked", find)
    facts = dataset.inspect(root)
    facts["published"] &= source_type != "synthetic"  # at full size the synthetic set has the same counts
    if source_type == "folder" and source != data.source:  # the same manifest as in the workspace
        root = os.path.relpath(root, workspace.folder())
    description = describe(name, data, facts["published"])
    written = {"kind": source_type, "description": description, "root": str(root), **facts}
    write_text(manifest, json.dumps(written, indent=1) + "\n")
    counts = ", ".join(f"{split} {of_split['frames']:,}" for split, of_split in facts["splits"].items())
    print(f"{name}: {description}\n{root}: frames: {counts}")
    for note in facts["notes"]:
        print(f"{name}: note: {note}")


def describe(name: str, data: params.Source, published: bool) -> str:
    """What reports call the data: never a path, which would say where and not what."""
    if data.source == "synthetic":
        return f"synthetic hands (seed {data.seed})"
    return TITLES[name] if published else f"{sources.short_name(data.source)} ({TITLES[name]}'s layout)"


if __name__ == "__main__":
    run(main, *sys.argv[1:])
