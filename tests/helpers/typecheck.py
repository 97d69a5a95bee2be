"""How annotations are checked while tests run: an int may stand for a float, as Python's type checkers have it."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
