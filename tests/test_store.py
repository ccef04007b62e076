import h5py
import numpy as np
import pytest

from handvae import store
from handvae.errors import InputError

ATTRIBUTES = {"crop_px": 4, "source": "made up", "synthetic": True}


def hand(number):
    rng = np.random.default_rng(number)
    return store.Hand(
        image_u8=rng.integers(0, 256, (4, 4, 3), np.uint8),
        joints_mm=rng.normal(size=(21, 3)).astype(np.float32),
        uv_px=rng.normal(size=(21, 2)).astype(np.float32),
        visible=rng.random(21) < 0.5,
        camera=rng.normal(size=(3, 3)),
        side=number % 2,
        scale_bone_mm=np.float32(number),
        name=f"händ {number}",
        subject="",
    )


def write(path, count=150):
    splits = {"train": (hand(number) for number in range(count)), "test": (hand(number) for number in range(3))}
    return store.write(path, splits, ATTRIBUTES)


def test_what_was_written_is_read_back_row_by_row_across_blocks(tmp_path):
    count = 2 * store.BLOCK + 5
    assert write(tmp_path / "set.h5", count) == {"train": count, "test": 3}
    columns = store.read(tmp_path / "set.h5", "train", store.UNITS)
    for number in (0, store.BLOCK - 1, store.BLOCK, count - 1):
        for key in store.UNITS:
            np.testing.assert_array_equal(columns[key][number], getattr(hand(number), key))


def test_the_file_says_what_it_holds(tmp_path):
    write(tmp_path / "set.h5", 5)
    attributes = store.attributes(tmp_path / "set.h5")
    assert attributes["source"] == "made up" and attributes["crop_px"] == 4 and attributes["train_rows"] == 5
    with h5py.File(tmp_path / "set.h5") as file:
        assert all(file["train"][key].attrs["unit"] == unit for key, unit in store.UNITS.items())


def test_the_same_hands_give_the_same_bytes_and_one_changed_value_another_digest(tmp_path):
    for name in ("a.h5", "b.h5"):
        write(tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    changed = hand(0)
    changed.joints_mm[3, 1] += 1e-3
    store.write(tmp_path / "c.h5", {"train": iter([changed]), "test": iter([hand(0)])}, ATTRIBUTES)
    attributes = store.attributes(tmp_path / "c.h5")
    assert attributes["train_sha256"] != attributes["test_sha256"]


def test_a_stream_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    write(tmp_path / "set.h5", 5)
    before = (tmp_path / "set.h5").read_bytes()

    def failing():
        yield hand(0)
        raise InputError("a broken image")

    with pytest.raises(InputError, match="a broken image"):
        store.write(tmp_path / "set.h5", {"train": failing()}, ATTRIBUTES)
    assert (tmp_path / "set.h5").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_an_empty_split_is_refused(tmp_path):
    with pytest.raises(InputError, match="train: expected at least one hand, found none"):
        store.write(tmp_path / "set.h5", {"train": iter([])}, ATTRIBUTES)
    assert not list(tmp_path.iterdir())


def test_missing_foreign_and_outdated_files_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"absent.h5: expected the preprocessed dataset, found no file"):
        store.attributes(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(InputError, match=r"text.h5: expected an HDF5 file"):
        store.attributes(tmp_path / "text.h5")
    write(tmp_path / "old.h5", 2)
    with h5py.File(tmp_path / "old.h5", "a") as file:
        file.attrs["version"] = 0
    with pytest.raises(InputError, match="expected preprocessing version 1, found 0"):
        store.read(tmp_path / "old.h5", "train", ["side"])
    write(tmp_path / "set.h5", 2)
    with pytest.raises(InputError, match="expected validation with side"):
        store.read(tmp_path / "set.h5", "validation", ["side"])
