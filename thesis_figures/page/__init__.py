"""A page to look at: charts that answer to a slider, drop-downs and clicks, in one HTML file that works offline."""

from importlib.util import find_spec

TITLE = "Structured pruning of bilinear CNNs"
ABOUT = "All runs: γ of the sparse networks under a slider, accuracy over cost, and the thesis' findings."
FILE = "index.html"
PACKAGES = ("altair", "vl_convert")


def require() -> None:
    """Raise ValueError that tells how to install the packages that only pages need, where one is missing."""
    if missing := [package for package in PACKAGES if find_spec(package) is None]:
        raise ValueError(f"a page needs {' and '.join(missing)}: pip install --editable '.[page]'")
