import yaml

from handvae.base import params
from handvae.report.departures import departures, sentence
from tests.conftest import REPOSITORY


def profile(name, tmp_path):
    tree = yaml.safe_load((REPOSITORY / "params.yaml").read_text()) | {"profile": name}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tree))
    return params.load(tmp_path / "params.yaml").profile


def test_profile_paper_augments_as_the_paper_says(tmp_path):
    found = departures(profile("paper", tmp_path).augmentation, {"rgb", "depth", "joints_2d"})
    assert found == [] and sentence(found, "paper") == ""


def test_what_small_does_otherwise_is_said_of_the_inputs_that_were_trained(tmp_path):
    augmentation = profile("small", tmp_path).augmentation
    assert departures(augmentation, {"rgb"}) == ["RGB: flip two_sided (the paper: always)"]
    both = departures(augmentation, {"rgb", "joints_2d"})
    assert both[1] == "2D joints: rotation_deg 45.0 (the paper: 0.0), flip two_sided (the paper: never)"
    assert sentence(both, "small").startswith("Profile small augments otherwise than the paper. RGB: flip two_sided")
