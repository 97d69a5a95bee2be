"""Files of compared networks: each shape exported once, timed, and read back."""

from dataclasses import replace
from pathlib import Path

import pytest

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.files import write_text
from bcnn_prune.records import ConfusionMatrix, Cost, Evaluation, PackedNetwork, file_latency, json_file, to_json
from bcnn_prune.records.timm_network import TimmNetworkRecord
from experiments.measure.file_latency import Settings, main
from tests.helpers.compared_records import compared
from tests.helpers.explicit_records import RECIPE, history, run, step
from tests.helpers.random_records import SIDE
from tests.helpers.strategies import TINY

pytest.importorskip("onnxruntime")
COST = Cost(params=1, macs=1)
SEPARABLE = TINY.with_forms({"conv2_1": ("separable", 0)})


def test_each_shape_is_timed_once_as_a_file(tmp_path: Path) -> None:
    narrow = replace(TINY, widths=tuple(max(1, width // 2) for width in TINY.widths))
    records = []
    for seed in (0, 1):
        record = compared("birds50", seed, (0.5,), ("rank", "random"))
        networks = tuple(replace(one, spec=narrow, cost=total_cost(narrow, SIDE)) for one in record.compared)
        records.append(replace(record, spec=TINY, cost=total_cost(TINY, SIDE), compared=networks))
        write_text(tmp_path / "equal_cost" / "birds50" / f"seed{seed}.json", to_json(records[-1]))
    packed = (PackedNetwork(8, 100, 50, Evaluation(200, 9), Evaluation(200, 9)),)
    shrunk = replace(step(TINY, 9, (50, 60, 70)), spec=SEPARABLE, cost=total_cost(SEPARABLE, SIDE), packed=packed)
    base = {"data": records[0].data, "cost": records[0].cost}
    records.append(replace(run("compress", 0, steps=(shrunk,), prune=None, method="separable", keep_macs=0.3), **base))
    write_text(tmp_path / "compress" / "birds50" / "separable.json", to_json(records[-1]))
    matrix = ConfusionMatrix((0,), (0,), (1,), 1)
    tiny = TimmNetworkRecord("test_resnet", "none", 0, run().data, RECIPE, history(1), COST, 1, matrix, {})
    write_text(tmp_path / "timm_networks" / "birds50" / "tiny.json", json_file.to_json(tiny))
    assert file_latency.read(tmp_path) is None
    main(Settings(results=tmp_path, rounds=2))
    times = file_latency.read(tmp_path)
    assert times is not None
    assert len(times.files) == 3
    (of_timm,) = times.of_timm(tiny)
    assert of_timm > 0
    assert times.of_timm(replace(tiny, network="test_vit")) == []
    assert file_latency.shapes(records[0]) == {(SIDE, TINY), (SIDE, narrow)}
    assert file_latency.shapes(replace(records[0], experiment="proxy")) == set()
    assert file_latency.shapes(records[-1]) == {(SIDE, TINY), (SIDE, SEPARABLE)}
    assert file_latency.shapes(replace(records[-1], experiment="exercises.food")) == {(SIDE, TINY)}
    assert set(times.milliseconds) == {(SIDE, TINY), (SIDE, narrow), (SIDE, SEPARABLE)}
    assert all(ms > 0 for ms in times.milliseconds.values())
    assert {(file.latency.rounds, file.latency.threads) for file in times.files} == {(2, 1)}


def test_without_a_comparison_there_is_nothing_to_time(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"no record of networks that were compared, .* in .*: run experiments\.equal_cost or"
    ):
        main(Settings(results=tmp_path))
