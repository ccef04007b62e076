import subprocess
import sys

import pytest

from handvae.model import networks
from handvae.report import paper, parameters


@pytest.fixture(scope="module")
def ours():
    modules = networks.paper_modules().items()
    return parameters.our_layers({name: {k: tuple(p.shape) for k, p in m.named_parameters()} for name, m in modules})


def sums(layers):
    found = {}
    for layer in layers:
        found[layer.network] = found.get(layer.network, 0) + layer.parameters
    return found


def test_the_baselines_layers_add_up_to_the_count_that_the_paper_prints():
    found = sums(parameters.baseline_layers())
    assert found == {"[38] PoseNet": 17_518_847, "[38] PosePrior": 1_637_279, "[38] ViewPoint": 2_238_403}
    assert sum(found.values()) == paper.BASELINE_PARAMETERS == 21_394_529


def test_a_layers_count_is_the_sum_of_its_weights_and_biases():
    layers = {(layer.network, layer.name): layer for layer in parameters.baseline_layers()}
    first = layers["[38] PoseNet", "conv1_1"]
    assert first.shape == "64 x 3 x 3 x 3 + 64" and first.parameters == 64 * 27 + 64
    refining = layers["[38] PoseNet", "conv6_1"]  # the score maps of 21 joints and 128 features
    assert refining.shape == "128 x 149 x 7 x 7 + 128" and refining.parameters == 128 * 149 * 49 + 128
    dense = layers["[38] PosePrior", "fc_rel0"]  # 4 x 4 x 128 features and the two hand sides
    assert dense.shape == "512 x 2050 + 512" and dense.parameters == 512 * 2050 + 512


@pytest.mark.parametrize("network", parameters.BASELINE)
def test_each_layer_of_the_baseline_takes_what_the_one_before_it_gives(network):
    joints, sides, features = 21, 2, 128
    given = 3 if network == "[38] PoseNet" else joints
    for name, *_, inputs, outputs in parameters.BASELINE[network]:
        if name in ("conv6_1", "conv7_1"):
            given += features
        if name in ("fc_rel0", "fc_vp0"):
            given = 4 * 4 * given + sides
        if name in ("fc_vp_uy", "fc_vp_uz"):  # three outputs side by side
            given = 128
        assert inputs == given, name
        given = outputs
    assert given == {"[38] PoseNet": joints, "[38] PosePrior": 3 * joints, "[38] ViewPoint": 1}[network]


def test_our_layers_add_up_to_the_networks_and_to_the_variants(ours):
    found = sums(ours)
    assert found == {name: networks.parameter_count(module) for name, module in networks.paper_modules().items()}
    first = found["RGB encoder"] + found["3D decoder"]
    variants = [0, found["3D encoder"], found["RGB decoder"], found["3D encoder"] + found["RGB decoder"]]
    assert [first + more for more in variants] == list(networks.paper_parameter_counts().values())
    assert parameters.layer_table(ours).iloc[0].tolist() == ["RGB encoder", "trunk.conv1", "64 x 3 x 7 x 7", 9408]


def test_counts_are_compared_where_the_paper_prints_one(ours):
    layers = [*ours, *parameters.baseline_layers()]
    table = parameters.parameter_table(networks.paper_parameter_counts(), layers).set_index("model")
    printed = {"variant 1": 12_398_387, "variant 4": 14_347_346, "[38]": 21_394_529}
    assert table["paper_parameters"].dropna().to_dict() == printed
    assert set(table.loc[list(printed), "verdict"]) == {"equal"}
    assert set(table.drop(list(printed))["verdict"]) == {"not printed"}
    assert table["parameters"].to_dict() == printed | sums(layers) | {"variant 2": 13_512_679, "variant 3": 13_233_054}


def test_a_count_that_is_off_by_one_layer_or_one_parameter_differs(ours):
    counts = networks.paper_parameter_counts() | {1: 12_398_388}
    table = parameters.parameter_table(counts, [*ours, *parameters.baseline_layers()[:-1]]).set_index("model")
    assert table.loc[["variant 1", "variant 4", "[38]"], "verdict"].tolist() == ["differs", "equal", "differs"]


def test_the_table_reads_with_thousands_and_dashes(ours):
    table = parameters.parameter_table(networks.paper_parameter_counts(), ours + parameters.baseline_layers())
    header, rows = parameters.as_text(table)
    assert header == ["", "parameters", "the paper's", "verdict"]
    assert rows[0] == ["variant 1", "12,398,387", "12,398,387", "equal"]
    assert rows[1] == ["variant 2", "13,512,679", "–", "not printed"]


def test_counting_the_baseline_needs_no_torch():
    code = "import sys; from handvae.report.parameters import baseline_layers; baseline_layers(); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
