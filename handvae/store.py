"""The preprocessed dataset: one HDF5 file a set, groups `train` and `test`, one row a hand.

Written in one streaming pass, so that memory does not grow with the set; read whole by `handvae.batches`.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from handvae.atomic import replacing_file
from handvae.errors import InputError

VERSION = 1  # of the preprocessing; a file of another version is refused
BLOCK = 64  # rows written, and stored as one HDF5 chunk, at a time

UNITS = {
    "image_u8": "RGB, context crop",
    "joints_mm": "mm, camera frame: x right, y down, z forward; handvae.joints.HAND21",
    "uv_px": "pixels of the context crop, (u, v), centres at integers",
    "visible": "",
    "camera": "intrinsics of the context crop: uv ~ camera @ joints",
    "side": "0 left, 1 right",
    "scale_bone_mm": "mm, middle finger MCP to PIP",
    "name": "",
    "subject": "",
}


@dataclass(frozen=True)
class Hand:
    """One row of the file: a hand in its context crop of C x C pixels."""

    image_u8: np.ndarray  # (C, C, 3)
    joints_mm: np.ndarray  # (21, 3) float32
    uv_px: np.ndarray  # (21, 2) float32
    visible: np.ndarray  # (21,) bool
    camera: np.ndarray  # (3, 3) float64
    side: int
    scale_bone_mm: float
    name: str
    subject: str


def write(path: Path | str, splits: dict[str, Iterable[Hand]], attributes: dict[str, object]) -> dict[str, int]:
    """Write the splits in the order given and return their row counts. All or nothing."""
    counts = {}
    with replacing_file(path) as partial, h5py.File(partial, "w") as file:
        file.attrs.update(attributes, version=VERSION)
        for split, hands in splits.items():
            counts[split] = _write_split(file.create_group(split), hands)
            if not counts[split]:
                raise InputError(f"{path}: {split}: expected at least one hand, found none")
    return counts


def _write_split(group: h5py.Group, hands: Iterable[Hand]) -> int:
    digest = hashlib.sha256()
    rows: list[Hand] = []
    count = 0
    for hand in hands:
        rows.append(hand)
        if len(rows) == BLOCK:
            count = _append(group, rows, count, digest)
            rows = []
    if rows:
        count = _append(group, rows, count, digest)
    group.attrs["sha256"] = digest.hexdigest()  # of all rows: what a checkpoint and a model were made from
    return count


def _append(group: h5py.Group, rows: list[Hand], count: int, digest) -> int:
    for key, unit in UNITS.items():
        values = [getattr(row, key) for row in rows]
        if key in ("name", "subject"):
            block = np.array([value.encode() for value in values], dtype=object)
            kind: object = h5py.string_dtype()
            digest.update(b"\0".join(block))
        else:
            block = np.stack([np.asarray(value) for value in values])
            if key == "side":
                block = block.astype(np.uint8)
            kind = block.dtype
            digest.update(np.ascontiguousarray(block).data)
        if key not in group:
            shape = block.shape[1:]
            group.create_dataset(key, (0, *shape), kind, maxshape=(None, *shape), chunks=(BLOCK, *shape))
            group[key].attrs["unit"] = unit
        group[key].resize(count + len(rows), axis=0)
        group[key][count:] = block
    return count + len(rows)


def read(path: Path | str, split: str, keys: Iterable[str]) -> dict[str, np.ndarray]:
    """The named columns of one split as arrays (strings as str objects). Raises InputError on a foreign file."""
    with _open(path) as file:
        if split not in file or not set(keys) <= set(file[split]):
            raise InputError(f"{path}: expected {split} with {', '.join(keys)}; run `dvc repro preprocess`")
        group = file[split]
        return {key: group[key].asstr()[:] if key in ("name", "subject") else group[key][:] for key in keys}


def attributes(path: Path | str) -> dict[str, object]:
    """The file's attributes, with the digest of each split as `<split>_sha256` and its rows as `<split>_rows`."""
    with _open(path) as file:
        result = {key: value.item() if hasattr(value, "item") else value for key, value in file.attrs.items()}
        for split in file:
            result[f"{split}_sha256"] = file[split].attrs["sha256"]
            result[f"{split}_rows"] = len(file[split]["side"])
        return result


def _open(path: Path | str) -> h5py.File:
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise InputError(
            f"{path}: expected the preprocessed dataset, found no file; run `dvc repro preprocess`"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: expected an HDF5 file: {error}") from error
    found = file.attrs.get("version")
    if found != VERSION:
        file.close()
        raise InputError(f"{path}: expected preprocessing version {VERSION}, found {found}; run `dvc repro preprocess`")
    return file
