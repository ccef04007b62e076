"""The preprocessed dataset: an HDF5 file per set, a group per split (train and test, or the subjects), a row per hand.

Written in one streaming pass, so that memory does not grow with the set; images are read in parts as well.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from handvae.base.atomic import replacing_file
from handvae.base.errors import InputError

VERSION = 3  # of the preprocessing; a file of another version is refused
BLOCK = 64  # rows written, and stored as one HDF5 chunk, at a time
PART = 16  # rows read at a time

# Type and unit of every column that a row may have, in the order in which columns are written. Rows of colour sets have
# an image, visible joints and a scale bone, those of depth sets a picture and the cube that it was cut from.
COLUMNS: dict[str, tuple[type, str]] = {
    "image_u8": (np.uint8, "RGB, context crop"),  # (C, C, 3); colour sets may be stored without
    "depth_f16": (np.float16, "half the cube's side, context crop: -1 its front, +1 its back and all background"),
    "joints_mm": (np.float32, "mm, camera frame: x right, y down, z forward; in the order of the file's skeleton"),
    "uv_px": (np.float32, "pixels of the context crop, (u, v), centres at integers"),  # (J, 2)
    "visible": (np.bool_, ""),  # (J,)
    "camera": (np.float64, "intrinsics of the context crop: uv ~ camera @ joints"),  # (3, 3)
    "side": (np.uint8, "0 left, 1 right"),
    "scale_bone_mm": (np.float32, "mm, middle finger MCP to PIP"),
    "centre_mm": (np.float32, "mm, camera frame: centre of the cube"),  # (3,)
    "cube_mm": (np.float32, "mm, side of the cube"),
    "trainable": (np.bool_, "false: tested on, not trained on"),
    "name": (str, ""),
    "subject": (str, ""),
    "sequence": (str, ""),
    "frame": (np.int32, "number in the sequence"),
    "moment": (str, "rows that show one pose share it"),
}

Row = dict[str, Any]  # one hand in its context crop: a value a column


@contextmanager
def writing(path: Path | str, attributes: dict[str, object]) -> Iterator[h5py.File]:
    """A file to which `add` adds splits, all or nothing."""
    with replacing_file(path) as partial, h5py.File(partial, "w") as file:
        file.attrs.update(attributes, version=VERSION)
        yield file


def write(path: Path | str, splits: dict[str, Iterable[Row]], attributes: dict[str, object]) -> dict[str, int]:
    """Write all splits in the order given and return their row counts; see `add`."""
    with writing(path, attributes) as file:
        return {split: add(file, split, hands, f"{path}: {split}") for split, hands in splits.items()}


def add(file: h5py.File, split: str, hands: Iterable[Row], label: str) -> int:
    """Write the rows of a split and return their number.

    InputError that starts with `label` if there is none, or if rows differ in their columns (some with an image, some
    without).
    """
    group, digest, hands, count = file.create_group(split), hashlib.sha256(), iter(hands), 0
    columns: list[str] = []
    while rows := list(itertools.islice(hands, BLOCK)):
        columns = columns or [key for key in COLUMNS if key in rows[0]]
        for row in rows:
            if odd := ", ".join(sorted(row.keys() ^ columns)):
                expected = "expected the same columns in every row"
                raise InputError(f"{label}: {expected}, found {odd} in some only, first at {row['name']}")
        for key in columns:
            _append(group, key, [row[key] for row in rows], count, digest)
        count += len(rows)
    if not count:
        raise InputError(f"{label}: expected at least one hand, found none")
    group.attrs["sha256"] = digest.hexdigest()  # of all rows: what a checkpoint and a model were made from
    return count


def _append(group: h5py.Group, key: str, values: list, count: int, digest) -> None:
    """Write `values` behind the `count` rows of a column that are there."""
    dtype, unit = COLUMNS[key]
    if dtype is str:
        block, stored = np.array([value.encode() for value in values], dtype=object), h5py.string_dtype()
        digest.update(b"\0".join(block))
    else:
        block, stored = np.stack([np.asarray(value, dtype) for value in values]), dtype
        digest.update(block.data)
    if key not in group:
        shape = block.shape[1:]
        group.create_dataset(key, (0, *shape), stored, maxshape=(None, *shape), chunks=(BLOCK, *shape))
        group[key].attrs["unit"] = unit
    group[key].resize(count + len(values), axis=0)
    group[key][count:] = block


def write_combined(path: Path | str, members: list[Path]) -> None:
    """Write a file without hands: the attributes of both members. InputError if their crops differ."""
    first, second = facts = [attributes(member) for member in members]
    for key in ("crop_px", "context_px", "skeleton"):
        if first[key] != second[key]:
            raise InputError(f"{path}: expected sets of one {key}, found {first[key]} and {second[key]}")
    with writing(path, {}) as file:
        for member, values in zip(members, facts, strict=True):
            file.attrs.update({f"{member.stem}_{key}": values[key] for key in sorted(values)})


def read(path: Path | str, groups: Iterable[str], keys: Iterable[str]) -> dict[str, np.ndarray]:
    """The named columns of some groups, one after the other (strings as str objects). InputError on a foreign file."""
    parts: dict[str, list[np.ndarray]] = {key: [] for key in keys}
    with _open(path) as file:
        for name in groups:
            _check_columns(file, name, list(parts))
            for key, values in parts.items():
                column = file[name][key]
                values.append(column.asstr()[:] if COLUMNS[key][0] is str else column[:])
    return {key: values[0] if len(values) == 1 else np.concatenate(values) for key, values in parts.items()}


def rows(path: Path | str, groups: Iterable[str]) -> int:
    """The number of rows of some groups together."""
    return len(read(path, groups, ["side"])["side"])


def read_parts(path: Path | str, groups: Iterable[str], key: str) -> Iterator[np.ndarray]:
    """A column of numbers of some groups, PART rows at a time: for what fits in memory once. InputError as `read`."""
    with _open(path) as file:
        for name in groups:
            _check_columns(file, name, [key])
            column = file[name][key]
            for start in range(0, len(column), PART):
                yield column[start : start + PART]


def row_shape(path: Path | str, group: str, key: str) -> tuple[tuple[int, ...], int]:
    """The shape of a column's rows, and the bytes of one of its numbers. InputError as `read`."""
    with _open(path) as file:
        _check_columns(file, group, [key])
        return file[group][key].shape[1:], file[group][key].dtype.itemsize


def _check_columns(file: h5py.File, group: str, keys: list[str]) -> None:
    path = file.filename
    if group in file and {"image_u8"} == set(keys) - set(file[group]):
        raise InputError(f"{path}: expected {group} with images, found labels alone: protocol.images is false")
    if group not in file or not set(keys) <= set(file[group]):
        raise InputError(f"{path}: expected {group} with {', '.join(keys)}; run `dvc repro preprocess`")


def columns(path: Path | str, group: str) -> list[str]:
    """The columns of a group."""
    with _open(path) as file:
        if group not in file:
            raise InputError(f"{path}: expected {group}, found {', '.join(file)}; run `dvc repro preprocess`")
        return list(file[group])


def split_groups(path: Path | str, split: str, test_subject: str | None) -> list[str]:
    """The groups of `split`, "train" or "test". With a test subject these are all others' groups, and the subject's."""
    if test_subject is None:
        return [split]
    with _open(path) as file:
        subjects = list(file)
    if test_subject not in subjects:
        raise InputError(f"{path}: expected the subject {test_subject}, found {', '.join(subjects)}")
    return [subject for subject in subjects if (subject == test_subject) == (split == "test")]


def digest(path: Path | str, groups: Iterable[str]) -> str:
    """SHA-256 of all rows of some groups."""
    facts = attributes(path)
    digests = [str(facts[f"{group}_sha256"]) for group in groups]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


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
        expected = "expected the preprocessed dataset, found no file"
        raise InputError(f"{path}: {expected}; run `dvc repro preprocess`") from None
    except OSError as error:
        raise InputError(f"{path}: expected an HDF5 file: {error}") from error
    version = file.attrs.get("version")
    if version != VERSION:
        file.close()
        expected = f"expected preprocessing version {VERSION}, found {version}"
        raise InputError(f"{path}: {expected}; run `dvc repro preprocess`")
    return file
