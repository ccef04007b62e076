import json

import numpy as np
import pytest

from handvae.base.errors import InputError
from handvae.base.geometry import back_project
from handvae.datasets import text
from handvae.evaluation import published
from handvae.evaluation.published import EVALUATIONS
from stages import score
from tests.damage import refusal

CAMERAS = {"icvl": (240.99, 240.96, 160, 120), "nyu": (588.03, 587.07, 320, 240), "msra": (241.42, 241.42, 160, 120)}
JOINTS = {"icvl": 16, "nyu": 14, "msra": 21}


def frames_uvd(joints, frames=5, seed=0):
    """Joints (N, J, 3) in front of a depth camera: u, v in px, depth in mm."""
    return np.random.default_rng(seed).uniform((40, 40, 200), (280, 200, 600), size=(frames, joints, 3)).round(3)


def line_of(frame):
    return " ".join(f"{value:.6f}" for value in frame.ravel())


def write_uvd(path, uvd, end="\n"):
    path.write_bytes("".join(line_of(frame) + end for frame in uvd).encode())
    return path


@pytest.mark.parametrize(
    ("method", "mean", "pcf"),
    [
        ("IJCAI16_ICVL_DeepModel", "11.561", "0.1 49.9 71.9 84.0 91.6 99.2"),
        ("ICIP17_ICVL_REN_4x6x6", "7.628", "24.3 69.1 87.7 95.7 98.7 99.6"),
        ("NEUCOM18_ICVL_Pose_REN", "6.791", "37.3 77.7 90.2 95.3 97.2 99.7"),
    ],
)
def test_published_predictions_score_what_the_public_benchmark_prints_to_every_digit(real, tmp_path, method, mean, pcf):
    truth, predictions = real / "icvl/icvl_test_groundtruth_label.txt", real / f"icvl/{method}.txt"
    result = published.score("icvl", truth, predictions)
    assert (result.frames, f"{result.mean_mm:.3f}", result.doubt) == (1596, mean, "")
    assert " ".join(f"{100 * share:.1f}" for share in result.pcf) == pcf
    evaluation = EVALUATIONS["icvl"]
    xyz_mm = back_project(published.read_uvd(predictions, evaluation), evaluation.camera)
    doubt = published.score("icvl", truth, write_uvd(tmp_path / "xyz.txt", xyz_mm)).doubt
    assert doubt.endswith(f"read as x y z in mm, their median error is {result.median_mm:.3f} mm")


@pytest.mark.parametrize("dataset", JOINTS)
def test_a_pixel_at_the_principal_point_lies_on_the_axis_and_a_focal_length_aside_means_45_degrees(dataset):
    fx, fy, cx, cy = CAMERAS[dataset]
    uvd = np.array([[cx, cy, 500], [cx + fx, cy, 500], [cx, cy - fy, 300]])
    joints_mm = back_project(uvd, EVALUATIONS[dataset].camera)
    np.testing.assert_allclose(joints_mm, [[0, 0, 500], [500, 0, 500], [0, -300, 300]], atol=1e-9)


def test_a_whole_hand_that_is_off_is_not_aligned_and_mean_median_and_shares_are_over_frames_and_joints(tmp_path):
    uvd = frames_uvd(21, frames=4)
    uvd[..., :2] = (160, 120)
    shifted = uvd.copy()
    shifted[0, :, 2] += 20  # a whole hand, at a threshold: counts as within 20 mm
    shifted[1, 0, 2] += 42
    truth, predictions = write_uvd(tmp_path / "truth.txt", uvd), write_uvd(tmp_path / "predictions.txt", shifted)
    result = published.score("msra", truth, predictions)
    assert result.mean_mm == pytest.approx((21 * 20 + 42) / 84)
    assert result.median_mm == 0  # 62 of 84 joints are exact; a mean of joint medians would be 0.5
    np.testing.assert_allclose(result.pcf, [2 / 4, 3 / 4, 3 / 4, 3 / 4, 1, 1])
    np.testing.assert_allclose(result.pck, [62 / 84, 83 / 84, 83 / 84, 83 / 84, 1, 1])


def test_file_names_blank_lines_and_either_line_end_change_nothing(tmp_path):
    uvd = frames_uvd(16)
    plain = write_uvd(tmp_path / "plain.txt", uvd, end="\n")
    lines = [f"test_seq_1/image_{number:04}.png {line_of(frame)} " for number, frame in enumerate(uvd)]
    labels = tmp_path / "labels.txt"
    for end in ("\n", "\r\r\n", "\r\n\r\n"):
        labels.write_bytes(end.join(["", *lines]).encode())
        np.testing.assert_array_equal(*(published.read_uvd(path, EVALUATIONS["icvl"]) for path in (plain, labels)))


def test_nyu_labels_of_36_joints_are_scored_on_the_14_evaluated(tmp_path):
    whole = frames_uvd(36)
    scored = whole[:, [0, 3, 6, 9, 12, 15, 18, 21, 24, 25, 27, 30, 31, 32]]
    truth, predictions = write_uvd(tmp_path / "truth.txt", whole), write_uvd(tmp_path / "predictions.txt", scored)
    result = published.score("nyu", truth, predictions)
    assert (result.mean_mm, result.joints) == (0, 14)
    write_uvd(predictions, whole[:, :14])
    assert published.score("nyu", truth, predictions).mean_mm > 50
    predictions.write_text(f"{line_of(whole[0])}\n{line_of(scored[1])}\n")
    assert "line 2: expected 108 values, found 42" in refusal(published.read_uvd, predictions, EVALUATIONS["nyu"])


GOOD = line_of(frames_uvd(16)[0])
FEWER = GOOD[: GOOD.rindex(" ")]
BAD = {
    "blank": ("\r\n \n\n", "expected one line a frame, found no values"),
    "fewer": (f"{GOOD}\n\n{FEWER}\n", "line 3: expected 48 values, found 47"),
    "page": ("<html><body>Not Found</body></html>\n", "line 1: expected 48 values, found 1 after '<html><body>Not'"),
    "word": (f"{GOOD} \n{FEWER} 12,5\n", "line 2: expected a number of size at most 1000000, found '12,5'"),
    "NaN": (f"{FEWER} nan\n", "line 1: expected a number of size at most 1000000, found 'nan'"),
}


@pytest.mark.parametrize("which", BAD)
def test_a_bad_file_is_one_line_that_names_it(tmp_path, which):
    content, message = BAD[which]
    (tmp_path / "bad.txt").write_text(content, newline="")
    said = refusal(published.read_uvd, tmp_path / "bad.txt", EVALUATIONS["icvl"])
    assert said.startswith(f"{tmp_path / 'bad.txt'}: ") and said.endswith(message)


def test_another_number_of_frames_is_refused_with_both_counts(tmp_path):
    truth = write_uvd(tmp_path / "truth.txt", frames_uvd(16, frames=7))
    predictions = write_uvd(tmp_path / "predictions.txt", frames_uvd(16, frames=5))
    message = refusal(published.score, "icvl", truth, predictions)
    assert message == f"{predictions}: expected 7 frames as in {truth}, found 5"


def test_labels_at_the_camera_are_refused_and_predictions_there_are_errors(tmp_path):
    uvd = frames_uvd(16)
    good = write_uvd(tmp_path / "good.txt", uvd)
    uvd[3, 2, 2] = 0
    bad = write_uvd(tmp_path / "bad.txt", uvd)
    message = refusal(published.score, "icvl", bad, good)
    assert f"{bad}: expected depths above 0 mm, found 0 at joint 2 of frame 3" in message
    assert published.score("icvl", good, bad).pcf[-1] == pytest.approx(4 / 5)


def test_a_file_too_large_to_be_predictions_is_refused_unread(tmp_path):
    large = tmp_path / "large.txt"
    with large.open("wb") as file:
        file.truncate(text.MAX_FILE_BYTES + 1)  # sparse: takes no space
    message = refusal(published.read_uvd, large, EVALUATIONS["icvl"])
    assert message == f"{large}: expected at most 400000000 bytes, found 400000001"
    large.write_bytes(b"\n" * (published.MAX_LINES + 1))
    message = refusal(published.read_uvd, large, EVALUATIONS["icvl"])
    assert message == f"{large}: expected at most 200000 lines, found more"


def test_wrong_usage_of_the_program_is_named():
    usage = r"; usage: python -m stages\.score .*\{icvl,nyu,msra\} truth predictions$"
    for words, message in ((["rhd", "a.txt", "b.txt"], "'rhd'"), (["icvl", "a.txt", "b.txt", "--csv"], "--csv")):
        with pytest.raises(InputError, match=rf"^stages\.score: .*{message}.*{usage}"):
            score.main(*words)


def hands_uvd(dataset, frames=40, seed=0):
    """Hands (N, J, 3) of a hand's size where the set's camera sees hands, u v d."""
    fx, fy, cx, cy = CAMERAS[dataset]
    rng = np.random.default_rng(seed)
    low, high = ([-150, -100, 550], [150, 100, 950]) if dataset == "nyu" else ([-60, -60, 200], [60, 60, 450])
    joints_mm = rng.uniform(low, high, (frames, 1, 3)) + rng.normal(0, 30, (frames, JOINTS[dataset], 3))
    return np.concatenate([joints_mm[..., :2] / joints_mm[..., 2:] * (fx, fy) + (cx, cy), joints_mm[..., 2:]], axis=-1)


def doubt_of(folder, dataset, true_uvd, predictions):
    truth, file = write_uvd(folder / "truth.txt", true_uvd), write_uvd(folder / "predictions.txt", predictions)
    return published.score(dataset, truth, file).doubt


OTHERS = {
    "x y z in mm": (lambda xyz, uvd: xyz),
    "x y z in mm, y up and z backwards": (lambda xyz, uvd: xyz * (1, -1, -1)),
    "x y z in m": (lambda xyz, uvd: xyz / 1000),
    "u v d with d in cm": (lambda xyz, uvd: uvd / (1, 1, 10)),
}


@pytest.mark.parametrize("dataset", JOINTS)
@pytest.mark.parametrize("meant", OTHERS)
def test_predictions_in_other_coordinates_are_said_to_be_so_and_in_which(tmp_path, dataset, meant):
    uvd = hands_uvd(dataset)
    xyz_mm = back_project(uvd, EVALUATIONS[dataset].camera) + (0, 0, 7)
    doubt = doubt_of(tmp_path, dataset, uvd, OTHERS[meant](xyz_mm, uvd + (0, 0, 7)))
    assert "farther than a hand is long: the predictions are probably not u v d in px, px, mm" in doubt
    assert f"; read as {meant}, their median error is 7." in doubt


@pytest.mark.parametrize("dataset", JOINTS)
def test_bad_predictions_are_no_other_coordinates(tmp_path, dataset):
    uvd, rng = hands_uvd(dataset), np.random.default_rng(1)
    failed, lost = uvd.copy(), uvd.copy()
    failed[:35] = 0  # frames in which no hand was found
    lost[::3, :, 2] += 500
    constant = np.broadcast_to(uvd.mean(axis=0), uvd.shape)
    noisy = uvd + rng.normal(0, 1, uvd.shape) * (15, 15, 60)
    for predictions in (uvd, failed, lost, constant, noisy, 0 * uvd):
        assert doubt_of(tmp_path, dataset, uvd, predictions) == ""
    assert published.score(dataset, tmp_path / "truth.txt", tmp_path / "predictions.txt").mean_mm > 200  # all zeros


@pytest.mark.parametrize("dataset", JOINTS)
def test_labels_in_other_coordinates_are_said_to_be_so_though_the_errors_look_like_a_hands(tmp_path, dataset):
    uvd = hands_uvd(dataset)
    xyz_mm = back_project(uvd, EVALUATIONS[dataset].camera)
    doubt = doubt_of(tmp_path, dataset, xyz_mm, xyz_mm + 5)
    assert "of the labels have a negative u or v: they are probably x y z, not u v d" in doubt
    metres = uvd / (1, 1, 1000)
    assert "to the camera: their d is probably not in mm" in doubt_of(tmp_path, dataset, metres, metres)
    message = refusal(doubt_of, tmp_path, dataset, xyz_mm * (1, -1, -1), uvd)
    assert message.endswith("; are these x y z with z backwards?")


def test_the_program_prints_a_table_or_one_json_object_of_the_same_numbers(tmp_path, monkeypatch, capsys):
    uvd = hands_uvd("nyu")
    write_uvd(tmp_path / "truth.txt", uvd)
    write_uvd(tmp_path / "xyz.txt", back_project(uvd, EVALUATIONS["nyu"].camera))
    result = published.score("nyu", tmp_path / "truth.txt", tmp_path / "xyz.txt")
    monkeypatch.setenv("HOME", str(tmp_path))
    score.main("nyu", "~/truth.txt", "~/xyz.txt", "--json")
    printed = json.loads(capsys.readouterr().out)
    assert printed["mean_mm"] == pytest.approx(result.mean_mm, abs=5e-4) and printed["warning"] == result.doubt != ""
    np.testing.assert_allclose(printed["pcf_percent"], 100 * result.pcf, atol=0.05)
    score.main("nyu", "~/truth.txt", "~/xyz.txt")
    table = capsys.readouterr().out
    assert f"{printed['mean_mm']:.3f} mm" in table and f"{printed['median_mm']:.3f} mm" in table
    assert table.splitlines()[-1] == f"warning: {result.doubt}"
    for key in ("pcf_percent", "pck_percent"):
        assert "  ".join(f"{percent:6.1f}" for percent in printed[key]) in table
    score.main("nyu", "~/truth.txt", "~/truth.txt", "--json")
    assert json.loads(capsys.readouterr().out)["warning"] is None


def test_reference_curves_are_the_pcf_of_each_method_and_one_in_other_coordinates_is_marked(tmp_path):
    uvd = hands_uvd("icvl")
    uvd[..., :2] = (160, 120)
    files = {"labels": write_uvd(tmp_path / "truth.txt", uvd)}
    files["good"] = write_uvd(tmp_path / "predictions.txt", uvd + (0, 0, 10))
    files["bad"] = write_uvd(tmp_path / "xyz.txt", back_project(uvd, EVALUATIONS["icvl"].camera))
    (good, _, shares), (bad, *_) = published.reference_curves("icvl", files, np.array([5.0, 15.0]))
    assert good == "good: mean error 10.0 mm" and shares.tolist() == [0, 1]
    assert bad.startswith("bad: mean error") and bad.endswith(" (not u v d?)")
