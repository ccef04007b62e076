"""data/raw/<set> -> data/processed/<set>.h5. Usage: python -m stages.preprocess rhd"""

import json
import sys
from pathlib import Path

from handvae import params, preprocess, store
from handvae.datasets import rhd
from handvae.errors import InputError
from stages import run


def main(name: str) -> None:
    settings = params.load()
    if name not in settings.data:
        raise InputError(f"stages.preprocess: expected one of {', '.join(settings.data)}, found '{name}'")
    source, profile = settings.data[name], settings.profile
    manifest = read_manifest(Path(f"data/raw/{name}.json"))
    root = Path(manifest["root"])
    crops = preprocess.size(profile.crop_px, profile.context)
    splits = {
        split: preprocess.rhd_hands(
            root,
            folder,
            source.hands if split == "train" else "dominant",  # the protocol scores one hand a test image
            source.without_visible_joint.get(folder, []),
            crops,
        )
        for split, folder in rhd.SPLITS.items()
    }
    attributes = {
        "dataset": name,
        "skeleton": "handvae.joints.HAND21",
        "source": source_text(manifest),
        "synthetic": manifest["kind"] == "synthetic",
        "published": manifest["published"],
        "crop_px": crops.crop_px,
        "context_px": crops.context_px,
    }
    counts = store.write(f"data/processed/{name}.h5", splits, attributes)
    print(f"{name}: {counts['train']:,} training and {counts['test']:,} test hands from {source_text(manifest)}")


def source_text(manifest: dict) -> str:
    """What every table and figure says of its data."""
    frames = {split: facts["frames"] for split, facts in manifest["splits"].items()}
    return f"{manifest['description']}, {frames['training']:,} training and {frames['evaluation']:,} test images"


def read_manifest(path: Path) -> dict:
    """What download found. Raises InputError if it, or the data it speaks of, is gone."""
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected the manifest that download writes: {error}") from error
    root = Path(manifest["root"])
    if not root.is_dir() or rhd.inspect(root)["splits"] != manifest["splits"]:
        # DVC can bring an old manifest back from its cache, but not the images, which it does not hold
        raise InputError(
            f"{root}: expected the raw data that {path} describes, found none or others; run `dvc repro -f download`"
        )
    return manifest


if __name__ == "__main__":
    run(main, *sys.argv[1:])
