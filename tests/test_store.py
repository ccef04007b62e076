import h5py
import numpy as np
import pytest

from handvae.base.errors import InputError
from handvae.preprocessing import store

ATTRIBUTES = {"crop_px": 4, "source": "made up", "synthetic": True}


def labels(number, joints):
    rng = np.random.default_rng(number)
    return {
        "joints_mm": rng.normal(size=(joints, 3)).astype(np.float32),
        "uv_px": rng.normal(size=(joints, 2)).astype(np.float32),
        "camera": rng.normal(size=(3, 3)),
        "side": number % 2,
        "trainable": number % 3 > 0,
        "name": f"händ {number}",
        "subject": "",
        "sequence": "B1Counting left",
        "frame": number,
        "moment": f"B1Counting/{number:04d}",
    }


def label_hand(number):
    visible = np.random.default_rng(number).random(21) < 0.5
    return labels(number, 21) | {"visible": visible, "scale_bone_mm": np.float32(number)}


def colour_hand(number):
    return label_hand(number) | {"image_u8": np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)}


def depth_hand(number):
    rng = np.random.default_rng(number + 1)
    cube = {"centre_mm": rng.normal(size=3).astype(np.float32), "cube_mm": 250.0}
    return labels(number, 16) | cube | {"depth_f16": rng.uniform(-1, 1, (4, 4)).astype(np.float16)}


def write(path, count=150, hand=colour_hand):
    return store.write(path, {"train": map(hand, range(count)), "test": map(hand, range(3))}, ATTRIBUTES)


@pytest.mark.parametrize("hand", [colour_hand, label_hand, depth_hand])
def test_what_was_written_is_read_back_row_by_row_and_written_again_to_the_same_bytes(tmp_path, hand):
    path, count = tmp_path / "set.h5", 2 * store.BLOCK + 5
    assert write(path, count, hand) == {"train": count, "test": 3}
    columns = store.read(path, ["train"], hand(0))
    for number in (0, store.BLOCK - 1, store.BLOCK, count - 1):
        for key, value in hand(number).items():
            np.testing.assert_array_equal(columns[key][number], value)
    with h5py.File(path) as file:
        assert set(file["train"]) == set(hand(0))
        for key, column in file["train"].items():
            dtype, unit = store.COLUMNS[key]
            assert column.attrs["unit"] == unit
            assert h5py.check_string_dtype(column.dtype) if dtype is str else column.dtype == dtype
    facts = store.attributes(path)
    assert ATTRIBUTES.items() <= facts.items() and (facts["train_rows"], facts["test_rows"]) == (count, 3)
    write(tmp_path / "again.h5", count, hand)
    assert path.read_bytes() == (tmp_path / "again.h5").read_bytes()


@pytest.mark.parametrize("hand", [colour_hand, depth_hand])
def test_one_changed_value_gives_another_digest(tmp_path, hand):
    row, changes = hand(0), {"side": 7, "name": "other", "frame": 5, "trainable": True}
    changes |= {key: value for key, value in hand(1).items() if isinstance(value, np.ndarray)}
    changed = {key: [row | {key: value}] for key, value in changes.items()}
    store.write(tmp_path / "set.h5", {"row": [row], "same": [row]} | changed, {})
    attributes = store.attributes(tmp_path / "set.h5")
    assert attributes["row_sha256"] == attributes["same_sha256"]
    assert len({attributes[f"{group}_sha256"] for group in ("row", *changed)}) == 1 + len(changed)


def failing():
    yield colour_hand(0)
    raise InputError("a broken image")


@pytest.mark.parametrize(
    ("hands", "message"),
    [
        ([colour_hand(0), label_hand(1)], "same columns in every row, found image_u8 in some only, .* händ 1$"),
        ([*map(label_hand, range(store.BLOCK)), colour_hand(64)], "found image_u8 in some only, .* händ 64$"),
        ([colour_hand(0), depth_hand(1)], "found centre_mm, cube_mm, depth_f16, image_u8"),
        ([], "set.h5: train: expected at least one hand, found none"),
        (failing(), "a broken image"),
    ],
)
def test_rows_that_do_not_fit_or_fail_leave_the_old_file_and_nothing_else(tmp_path, hands, message):
    write(tmp_path / "set.h5", 5)
    before = (tmp_path / "set.h5").read_bytes()
    with pytest.raises(InputError, match=message):
        store.write(tmp_path / "set.h5", {"train": hands}, ATTRIBUTES)
    assert (tmp_path / "set.h5").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_missing_foreign_and_outdated_files_and_absent_groups_and_columns_are_refused_by_name(tmp_path):
    (tmp_path / "text.h5").write_text("not HDF5")
    for name in ("set.h5", "old.h5"):
        write(tmp_path / name, 2, label_hand)
    with h5py.File(tmp_path / "old.h5", "a") as file:
        file.attrs["version"] = 1
    for name, group, key, message in (
        ("absent.h5", "train", "side", r"absent.h5: expected the preprocessed dataset, found no file"),
        ("text.h5", "train", "side", r"text.h5: expected an HDF5 file"),
        ("old.h5", "train", "side", r"old.h5: expected preprocessing version 3, found 1"),
        ("set.h5", "validation", "side", r"set.h5: expected validation with side"),
        ("set.h5", "train", "image_u8", r"set.h5: expected train with images, found labels alone"),
    ):
        with pytest.raises(InputError, match=message):
            store.read(tmp_path / name, [group], [key])


def test_a_combined_file_changes_with_either_set_and_refuses_sets_that_do_not_fit(tmp_path):
    paths = [tmp_path / "rhd.h5", tmp_path / "stb.h5"]
    facts = ATTRIBUTES | {"context_px": 6, "skeleton": "HAND21"}

    def combined(*counts, **changes):
        for path, count in zip(paths, counts, strict=True):
            store.write(path, {"train": map(colour_hand, range(count))}, facts | changes)
            changes = {}
        store.write_combined(tmp_path / "rhd+stb.h5", paths)
        return (tmp_path / "rhd+stb.h5").read_bytes()

    assert combined(2, 3) == combined(2, 3)
    assert len({combined(2, 3), combined(2, 4), combined(3, 3), combined(2, 3, source="renamed")}) == 4
    with pytest.raises(InputError, match="expected sets of one crop_px, found 8 and 4"):
        combined(2, 3, crop_px=8)
