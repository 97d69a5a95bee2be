"""The table that a run ends with says how far its times can be trusted."""

from dataclasses import replace

import pytest

from bcnn_prune.evaluation.cpu_load import BUSY, describe_load
from experiments.run.summary import table
from tests.helpers.explicit_records import run

DOUBT = "do not trust these times, measure again on an idle machine"


@pytest.mark.parametrize(
    ("loads", "message"),
    [
        ((0.0, 0.04), "other work kept up to 0.04 cores busy"),
        ((0.04, BUSY), f"other work kept up to {BUSY:.2f} cores busy"),
        ((0.21, 0.0), f"other work kept up to 0.21 cores busy: {DOUBT}"),
        ((None, 1.47), f"other work kept up to 1.47 cores busy: {DOUBT}"),
        ((None, None), "other work was not looked at"),
    ],
)
def test_times_beside_other_work_are_doubted(loads: tuple[float | None, float | None], message: str) -> None:
    assert describe_load(loads) == message
    record = run()
    latency = {name: replace(record.latency[name], load=load) for name, load in zip(record.latency, loads, strict=True)}
    caption = str(table(replace(record, latency=latency)).caption)
    assert "1.50 times as fast on this CPU" in caption
    assert f"; {message}); " in caption
