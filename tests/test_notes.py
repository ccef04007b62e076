import yaml

from handvae.base import params
from handvae.report.notes import departures
from tests.conftest import REPOSITORY


def profile(name, tmp_path):
    tree = yaml.safe_load((REPOSITORY / "params.yaml").read_text()) | {"profile": name}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tree))
    return params.load(tmp_path / "params.yaml").profile


def test_profile_paper_augments_as_the_paper_says(tmp_path):
    assert departures(profile("paper", tmp_path).augmentation, {"rgb", "depth", "joints_2d"}, "paper") == ""


def test_what_small_does_otherwise_is_said_of_the_inputs_that_were_trained(tmp_path):
    said = departures(profile("small", tmp_path).augmentation, {"rgb", "joints_2d"}, "small")
    assert said.startswith(
        "Profile small augments otherwise than the paper. RGB: flip two_sided (the paper: always); "
        "2D joints: rotation_deg 45.0 (the paper: 0.0), flip two_sided (the paper: never). "
    )
