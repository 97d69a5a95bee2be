"""Packages that only deploying needs."""

import pytest

from bcnn_prune.deployment.packages import require


def test_missing_packages_are_told_with_the_way_to_them() -> None:
    require("json", "sys")
    with pytest.raises(
        ValueError, match=r"this needs no_such, nor_this: pip install no_such nor_this, or all .*deploy"
    ):
        require("json", "no_such", "nor_this")
