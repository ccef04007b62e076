import pytest

from handvae.model import networks, zb17
from handvae.report import parameters


@pytest.fixture(scope="module")
def layers():
    modules = networks.paper_modules() | zb17.paper_modules()
    shapes = {name: {key: tuple(p.shape) for key, p in module.named_parameters()} for name, module in modules.items()}
    return parameters.layer_table(shapes)


def test_the_layers_add_up_to_the_networks_the_variants_and_the_printed_counts(layers):
    sums = layers.groupby("network")["parameters"].sum().to_dict()
    ours = {name: networks.parameter_count(module) for name, module in networks.paper_modules().items()}
    assert sums == ours | {"[38] PoseNet": 17_518_847, "[38] PosePrior": 1_637_279, "[38] ViewPoint": 2_238_403}
    first = sums["RGB encoder"] + sums["3D decoder"]
    variants = [0, sums["3D encoder"], sums["RGB decoder"], sums["3D encoder"] + sums["RGB decoder"]]
    assert [first + more for more in variants] == list(networks.paper_parameter_counts().values())
    table = parameters.parameter_table(networks.paper_parameter_counts(), layers).set_index("model")
    printed = {"variant 1": 12_398_387, "variant 4": 14_347_346, "[38]": 21_394_529}
    assert table["paper_parameters"].dropna().to_dict() == printed
    assert set(table.loc[list(printed), "verdict"]) == {"equal"}
    assert set(table.drop(list(printed))["verdict"]) == {"not printed"}
    assert table["parameters"].to_dict() == printed | sums | {"variant 2": 13_512_679, "variant 3": 13_233_054}


def test_a_count_that_is_off_by_one_layer_or_one_parameter_differs_and_reads_with_thousands(layers):
    table = parameters.parameter_table(networks.paper_parameter_counts() | {1: 12_398_388}, layers.iloc[:-1])
    verdicts = table.set_index("model")["verdict"]
    assert verdicts[["variant 1", "variant 4", "[38]"]].tolist() == ["differs", "equal", "differs"]
    _, rows = parameters.parameter_text(table)
    assert rows[0] == ["variant 1", "12,398,388", "12,398,387", "differs"]
    assert rows[1] == ["variant 2", "13,512,679", "–", "not printed"]
