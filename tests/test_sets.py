"""Every dataset has what the others use of it: the names, and a protocol that its frames take."""

import inspect

import pytest

from handvae.base import dataset_params
from handvae.base.joints import SKELETONS
from handvae.datasets.sets import DATASETS, Dataset


@pytest.mark.parametrize("name", {**DATASETS, **dataset_params.DATASETS})
def test_a_datasets_module_has_the_interface_and_its_protocol_holds_the_arguments_of_frames(name):
    dataset, declared = DATASETS[name], dataset_params.DATASETS[name]
    assert isinstance(dataset, Dataset) and dataset.SKELETON is SKELETONS[declared.skeleton]
    for function in ("find", "inspect", "read", "frames_with_images", "labelled_hands"):
        expected, has = (list(inspect.signature(getattr(of, function)).parameters) for of in (Dataset, dataset))
        assert has == expected[1:], function
    fields = dict.fromkeys(declared.protocol.__dataclass_fields__)
    root, *arguments = inspect.signature(dataset.frames).parameters
    assert root == "root" and set(arguments) == set(dataset_params.frames_options(declared.protocol(**fields)))
