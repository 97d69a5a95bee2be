"""A recipe whose λ follows from a share says so in the table of recipes."""

from dataclasses import replace

from tests.helpers.explicit_records import SPARSE, THESIS, rows_of, run
from thesis_figures.tables import recipes


def test_a_recipe_with_a_share_says_so_in_place_of_lambda() -> None:
    adaptive = replace(SPARSE, sparsity_share=0.6, scale_weight_decay=0.0)
    (row,) = rows_of(recipes.table([run(recipes={"sparse": adaptive}, steps=(), test={})], THESIS), source="ours")
    assert row["sparsity"] == ""
    assert row["update"] == f"{SPARSE.update}, λ for 60% of γ at zero, decay of γ 0"
