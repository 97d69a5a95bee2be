"""`python -m experiments.networks`: sums that add up, and names that are refused in one line."""

import re

import pytest

from bcnn_prune.backbones import BACKBONES
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.spec import ModelSpec
from experiments import networks
from tests.helpers.strategies import side_of, small_network


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_sums_that_are_written_out_add_up_to_the_cost(backbone: str) -> None:
    spec, side = small_network(backbone, "flatten", hidden=1), side_of(backbone)
    cost = total_cost(spec, side)
    for column, total in ((2, cost.params), (3, cost.macs)):
        sums = [row[column] for row in networks.rows(spec, side) if row[column]]
        for text in sums:
            written, result = text.split(" = ")
            assert eval(written.replace("·", "*")) == int(result.replace(",", ""))
        assert sum(int(text.split(" = ")[1].replace(",", "")) for text in sums) == total


def test_the_first_sum_is_that_of_the_exercise() -> None:
    spec = ModelSpec.of("cifar-cnn", 10, head="flatten")
    assert next(networks.rows(spec, 32))[2] == "3·3·3·32 + 32 = 896"


def test_the_list_names_every_backbone(capsys: pytest.CaptureFixture[str]) -> None:
    networks.main(networks.Settings())
    listed = re.findall(r"│ (\S+)", capsys.readouterr().out)
    assert set(BACKBONES) <= set(listed)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (networks.Settings(backbone="vgg12"), "--backbone is 'vgg12': take vgg11"),
        (networks.Settings(backbone="vgg11", head="median"), "--head is 'median': take bilinear"),
        (networks.Settings(backbone="vgg11", width=0.0), "--width is 0"),
        (networks.Settings(backbone="vgg11", classes=1), "--classes is 1"),
        (
            networks.Settings(backbone="vgg11", head="average", reduce_to=7),
            "--reduce-to means nothing with --head average",
        ),
        (networks.Settings(backbone="alexnet", side=16), "prepare larger images"),
    ],
)
def test_what_is_no_network_is_refused_by_its_option(settings: networks.Settings, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        networks.main(settings)
