"""The course documents' networks to the unit, and the separable convolution against its formula."""

from pathlib import Path

import pytest

from bcnn_prune.records.counted import file_of, read_counted
from thesis_figures.tables.networks import networks, separable
from thesis_figures.tables.table import Row

RESULTS = Path(__file__).parents[2] / "results"
GOLDEN = {
    ("CIFAR-10 CNN", 32): (747_690, 43_517_184),
    ("VGG-16", 224): (138_357_544, 15_470_264_320),
    ("ResNet-50", 224): (25_557_032, 4_089_184_256),
    ("MobileNet v1, α = 1", 224): (4_231_976, 568_740_352),
    ("MobileNet v1, α = 0.75", 224): (2_585_560, 325_400_448),
    ("MobileNet v1, α = 0.5", 224): (1_331_592, 149_497_088),
    ("MobileNet v1, α = 0.25", 224): (470_072, 41_030_272),
    ("MobileNet v1, α = 1", 192): (4_231_976, 418_121_728),
    ("MobileNet v1, α = 1", 160): (4_231_976, 290_675_200),
    ("MobileNet v1, α = 1", 128): (4_231_976, 186_400_768),
    ("MobileNet v1, α = 0.5", 160): (1_331_592, 76_524_800),
    ("big CNN", 128): (12_956_235, 3_581_416_960),
    ("big CNN, separable", 128): (5_671_785, 424_990_208),
    ("MobileNet student", 256): (256_779, 118_393_600),
    ("ResNet-18, the teacher", 256): (11_182_155, 2_368_738_816),
    ("small CNN", 128): (241_099, 82_755_584),
    ("small CNN, separable", 128): (188_971, 17_121_280),
    ("small CNN, grouped", 128): (200_059, 29_802_496),
    ("AlexNet variant", 224): (45_442_856, 698_533_568),
    ("VGG-16, one image channel", 224): (134_300_362, 15_408_406_528),
}
"""Parameters and multiply-adds as the documents state them, or as they follow from their layers by hand."""


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, int], Row]:
    counted = read_counted(file_of(RESULTS / "reference"))
    table = networks({(network.name, network.side): network.cost for network in counted.networks})
    return {(str(row["network"]), int(str(row["input"]).split()[-1])): row for row in table.rows}


@pytest.mark.parametrize("network", GOLDEN, ids=lambda network: f"{network[0]} {network[1]} px")
def test_a_documents_network_has_its_cost_to_the_unit(
    rows: dict[tuple[str, int], Row], network: tuple[str, int]
) -> None:
    assert (rows[network]["parameters"], rows[network]["multiply_adds"]) == GOLDEN[network]


def test_every_network_is_counted(rows: dict[tuple[str, int], Row]) -> None:
    assert all(row["parameters"] and row["multiply_adds"] for row in rows.values())


def test_a_separable_convolution_costs_what_the_formula_says() -> None:
    for row in separable().rows:
        width, alpha, beta = row["channels"], row["alpha"], row["beta"]
        assert row["depthwise"] == pytest.approx(alpha * beta**2 / width)
        assert row["pointwise"] == pytest.approx(alpha**2 * beta**2 / 9)
        assert row["both"] < row["stated"]
