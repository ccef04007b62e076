import pytest
import torch
import torchvision

from handvae.model import networks
from handvae.model.networks import Encoder, ImageDecoder, JointTrunk, ResNet


def test_parameter_counts_are_the_papers_and_the_fact_sheets():
    assert networks.paper_parameter_counts() == {1: 12398387, 2: 13512679, 3: 13233054, 4: 14347346}


def test_depth_models_have_the_fact_sheets_counts():
    """One channel, without H: by the number of joints."""
    for joints, expected in ((36, 12_415_080), (16, 12_384_300), (21, 12_391_995)):
        encoder = Encoder(ResNet("resnet18", 1, 256, 64), hand_side=False)
        decoder = networks.mlp(networks.LATENT, 3 * joints)
        assert networks.parameter_count(encoder) + networks.parameter_count(decoder) == expected


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_at_width_64_the_trunk_computes_what_torchvisions_resnet_computes(name):
    trunk, reference = ResNet(name, 3, 128, 64).eval(), getattr(torchvision.models, name)().eval()
    trunk.load_state_dict({key: value for key, value in reference.state_dict().items() if not key.startswith("fc")})
    image = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    features = reference.maxpool(reference.relu(reference.bn1(reference.conv1(image))))
    for layer in (reference.layer1, reference.layer2, reference.layer3, reference.layer4):
        features = layer(features)
    expected = torch.nn.functional.avg_pool2d(features, 3, stride=1).flatten(1)
    torch.testing.assert_close(trunk(image), expected)


@pytest.mark.parametrize(("name", "planes", "px"), [("resnet18", 128, 64), ("resnet50", 512, 256)])
def test_pool_leaves_2_by_2_features_and_the_decoder_gives_the_size_back(name, planes, px):
    trunk, decoder = ResNet(name, 1, px, 16), ImageDecoder(1, px, 16)
    assert trunk(torch.zeros(2, 1, px, px)).shape == (2, 2 * 2 * planes) and trunk.features == 2 * 2 * planes
    assert decoder(torch.zeros(2, networks.LATENT)).shape == (2, 1, px, px)


def test_the_hand_side_reaches_the_latent_only_where_it_is_given():
    joints = torch.randn(4, 63, generator=torch.Generator().manual_seed(0))
    left, right = torch.eye(2)[[0] * 4], torch.eye(2)[[1] * 4]
    for given in (True, False):
        encoder = Encoder(JointTrunk(63), hand_side=given)
        networks.initialise(encoder, torch.Generator().manual_seed(0))
        same = torch.equal(encoder(joints, left)[0], encoder(joints, right)[0])
        assert same != given


def test_initialisation_keeps_the_signals_size_through_the_six_layers():
    """With PyTorch's own initialisation the output hardly moves with z: the plateau of docs/choices.md."""
    z = torch.randn(512, networks.LATENT, generator=torch.Generator().manual_seed(0))
    decoder = networks.mlp(networks.LATENT, 63)
    default = decoder(z).std(dim=0).mean()
    networks.initialise(decoder, torch.Generator().manual_seed(0))
    ours = decoder(z).std(dim=0).mean()
    assert 0.5 < ours < 3.0 and default < 0.1 * ours


def test_log_variance_starts_certain_and_stays_in_its_range():
    encoder = Encoder(JointTrunk(63), hand_side=True)
    networks.initialise(encoder, torch.Generator().manual_seed(0))
    side = torch.eye(2)[[0, 1]]
    _, log_var = encoder(torch.randn(2, 63, generator=torch.Generator().manual_seed(0)), side)
    assert (log_var - networks.LOG_VAR_START).abs().max() < 2.0
    _, log_var = encoder(1e6 * torch.randn(2, 63, generator=torch.Generator().manual_seed(0)), side)
    assert log_var.min() >= -10.0 and log_var.max() <= 10.0
