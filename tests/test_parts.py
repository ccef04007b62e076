from dataclasses import replace
from itertools import pairwise

import h5py
import numpy as np
import pytest
import torch

from handvae.base import params
from handvae.base.errors import InputError
from handvae.model import batches, parts
from handvae.preprocessing import store
from tests.conftest import REPOSITORY
from tests.test_batches import write_depth_hands, write_hands

EXPERIMENTS = params.load(REPOSITORY / "params.yaml").experiments


def video(path, frames=100, sequences=("B2Counting", "B2Random")):
    """Two views of each frame of some sequences, as STB's reader names them."""
    write_hands(path, count=2 * frames * len(sequences), groups=("train", "test"))
    with h5py.File(path, "r+") as file:
        for group in ("train", "test"):
            rows = [(s, f, view) for s in sequences for f in range(frames) for view in ("left", "right")]
            file[group]["sequence"][:] = [f"{s} {view}".encode() for s, _, view in rows]
            file[group]["frame"][:] = [f for _, f, _ in rows]
            file[group]["moment"][:] = [f"{s}/{f:04d}".encode() for s, f, _ in rows]
    return path


def test_frames_with_a_wrong_label_are_left_out_of_training_only(tmp_path):
    write_depth_hands(tmp_path / "msra.h5", ["P0", "P1", "P2"])
    of_p2 = EXPERIMENTS["msra-resnet18-p2"]
    (part,) = parts.training_parts(tmp_path, of_p2)
    assert part.groups == ["P0", "P1"] and part.rows.sum() == 10
    assert len(batches.load_split([part], False, None, torch.device("cpu"))) == 10
    scored = parts.scored_part(tmp_path, of_p2, "msra")
    assert scored.groups == ["P2"] and scored.rows.sum() == 6
    with pytest.raises(InputError, match="expected the subject P7, found P0, P1, P2"):
        parts.training_parts(tmp_path, EXPERIMENTS["msra-resnet18-p7"])


def test_validation_rows_are_whole_moments_and_stretches_of_video_and_never_trained_on(tmp_path):
    path = video(tmp_path / "stb.h5")
    chosen = replace(EXPERIMENTS["stb-rgb-v1"], validation=0.25)
    (trained_on,), held_out = parts.training_parts(tmp_path, chosen), parts.scored_part(tmp_path, chosen, "stb")
    assert held_out.groups == ["train"] and not (trained_on.rows & held_out.rows).any()
    assert (trained_on.rows | held_out.rows).all() and held_out.rows.sum() == 100  # a quarter of 400
    assert not set(trained_on.column("moment")) & set(held_out.column("moment"))
    frames = sorted(set(held_out.column("moment")))
    neighbours = sum(int(b[-4:]) == int(a[-4:]) + 1 for a, b in pairwise(frames))
    assert len(frames) == 50 and neighbours >= 48  # two stretches of 25 frames
    whole = parts.scored_part(tmp_path, replace(chosen, validation=0.0), "stb")
    assert whole.groups == ["test"] and whole.rows.all()
    assert parts.digest([trained_on]) == store.digest(path, ["train"])


def test_a_set_that_is_held_out_whole_is_refused_by_name(tmp_path):
    video(tmp_path / "stb.h5", frames=20, sequences=("B2Counting",))  # a single stretch
    with pytest.raises(InputError, match=r"stb\.h5: expected hands to train on, found none of 40 \(validation 0.1"):
        parts.training_parts(tmp_path, replace(EXPERIMENTS["stb-rgb-v1"], validation=0.1))


def test_an_experiment_on_two_sets_trains_on_both_and_is_scored_on_each(tmp_path):
    write_hands(tmp_path / "rhd.h5", groups=("train", "test"))
    write_hands(tmp_path / "stb.h5", count=10, seed=1, groups=("train", "test"))
    chosen = EXPERIMENTS["both-rgb-v1-t"]
    trained_on = parts.training_parts(tmp_path, chosen)
    assert [part.rows.sum() for part in trained_on] == [6, 10] and chosen.datasets == ["rhd", "stb"]
    assert [parts.scored_part(tmp_path, chosen, dataset).rows.sum() for dataset in chosen.datasets] == [6, 10]
    before = parts.digest(trained_on)
    write_hands(tmp_path / "stb.h5", count=10, seed=2, groups=("train", "test"))
    assert parts.digest(parts.training_parts(tmp_path, chosen)) != before


def test_labelled_parts_are_shares_of_moments_in_all_their_rows_and_lie_in_one_another():
    """Of a video set of 4 sequences of 25 frames, seen by 2 cameras."""
    moments = np.array([f"S{s}/{frame}" for s in range(4) for _ in range(2) for frame in range(25)], object)
    rows = parts.labelled_rows(moments, 0.3)
    chosen = set(moments[rows])
    assert len(chosen) == 30 and len(rows) == 60 and (np.diff(rows) > 0).all()
    assert len({moment.split("/")[0] for moment in chosen}) == 4  # from everywhere, not the first part
    shares = [set(parts.labelled_rows(moments, fraction)) for fraction in (0.001, 0.1, 0.5, 1.0)]
    assert shares[0] < shares[1] < shares[2] < shares[3] == set(range(200)) and len(shares[0]) == 2
