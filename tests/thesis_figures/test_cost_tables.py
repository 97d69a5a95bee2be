"""Table 3.4: parameters and multiply-adds written out layer by layer."""

import ast

import pytest

from bcnn_prune.evaluation.cost import cost_lines
from tests.helpers.explicit_records import THESIS, rows_of
from tests.helpers.strategies import TINY
from thesis_figures import tables
from thesis_figures.tables import cost


def evaluated(formula: str) -> int:
    """The number that a written-out sum of products gives."""

    def value(node: ast.expr) -> int:
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.BinOp(left=left, op=ast.Add() | ast.Mult() as sign, right=right):
                return value(left) + value(right) if isinstance(sign, ast.Add) else value(left) * value(right)
        raise ValueError(f"{formula} is no sum of products")

    return value(ast.parse(formula.replace("·", "*"), mode="eval").body) if formula else 0


@pytest.mark.parametrize("make", [cost.unpruned, cost.pruned])
def test_the_lines_of_the_written_out_cost_add_up(make: tables.Maker) -> None:
    *lines, total = rows_of(make([], THESIS))
    for line in lines:
        assert evaluated(line["params_formula"]) == int(line["params"])
        assert evaluated(line["macs_formula"]) == int(line["macs"])
    for column in ("params", "macs", "flops", "elementwise", "file_bytes"):
        assert sum(int(line[column]) for line in lines) == int(total[column])
    assert int(total["flops"]) == 2 * int(total["macs"])


def test_the_written_out_cost_is_of_the_published_networks() -> None:
    assert rows_of(cost.unpruned([], THESIS))[-1]["params"] == "66103556"
    assert rows_of(cost.pruned([], THESIS))[-1]["params"] == "1204831"
    layer = rows_of(cost.unpruned([], THESIS), layer="conv2_1")[0]
    assert layer["params_formula"] == "3·3·64·128"
    assert layer["macs_formula"] == "3·3·64·128·112·112"
    assert layer["outputs"] == str(128 * 112 * 112)
    (bias,) = rows_of(cost.unpruned([], THESIS), layer="conv2_1 bias")
    assert bias["params_formula"] == "128"


def test_what_the_network_takes_on_disk_and_in_memory_is_noted_under_its_cost() -> None:
    note = cost.unpruned([], THESIS).notes[-1]
    assert "264.4 MB on disk" in note  # 4 · (66,103,556 + 2 · 4,224) + 13 · 8 bytes
    assert "25.7 MB for an image" in note  # two maps of 64 × 224 × 224 in fp32
    assert "40,455,172 parameters" in note  # 512 · 513 / 2 · 196 weights in place of 512² · 196, and no BN


def test_every_line_of_the_cost_is_written_out_for_any_side() -> None:
    lines = cost.written_out(TINY, 75)
    assert [line["layer"] for line in lines] == list(cost_lines(TINY, 75))
    assert all(evaluated(str(line.get("macs_formula") or "")) == line["macs"] for line in lines)
