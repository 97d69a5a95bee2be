"""Take the part of an official set that a list names, so that others can make the same part.

split,image,class               the list, a CSV file: these columns in this order, no field quoted
val,1008,019.Gray_Catbird       one image by its official id; it goes into this split, whatever its official one
test,,747-200                   no image named: all that the class has in its official split, train or test"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from data_prep.examples import Example, Split
from data_prep.official.lists import lines

COLUMNS = ("split", "image", "class")
SPLITS: dict[str, Split] = {"train": "train", "val": "val", "test": "test"}


def select(path: Path, class_names: Sequence[str], examples: Sequence[Example]) -> tuple[list[str], list[Example]]:
    """The listed classes in their official order, and the listed images in their listed splits, labelled by those.

    Raises ValueError with the file and line at fault: for a row of another form, a class or image that the set does not
    have, an image of another class, one that is listed twice. Images that are not listed need not be there."""
    labels = {name: label for label, name in enumerate(class_names)}
    by_id = {example.id: example for example in examples}
    by_class: dict[tuple[int, Split], list[Example]] = {}
    for example in examples:
        by_class.setdefault((example.label, example.split), []).append(example)
    taken: dict[str, tuple[str, Example]] = {}
    for place, split, image, name in _rows(path):
        if name not in labels:
            raise ValueError(f"{place}: the set has no class {name!r}")
        if image and image not in by_id:
            raise ValueError(f"{place}: the set has no image {image}")
        meant = [by_id[image]] if image else by_class.get((labels[name], split), [])
        if not meant:
            raise ValueError(f"{place}: class {name!r} has no official {split} image")
        for example in meant:
            if example.label != labels[name]:
                raise ValueError(f"{place}: image {image} is of class {class_names[example.label]!r}, not {name!r}")
            if example.id in taken:
                raise ValueError(f"{place}: image {example.id} stands already in {taken[example.id][0]}")
            taken[example.id] = place, replace(example, split=split)
    if not taken:
        raise ValueError(f"{path} lists no image")
    kept = sorted({example.label for _, example in taken.values()})
    renumbered = {label: position for position, label in enumerate(kept)}
    chosen = [replace(example, label=renumbered[example.label]) for _, example in taken.values()]
    return [class_names[label] for label in kept], chosen


def _rows(path: Path) -> Iterator[tuple[str, Split, str, str]]:
    """(place, split, image or "", class) of every row below the header."""
    rows = lines(path, r"([^,]*),([^,]*),([^,]+)", ",".join(COLUMNS))
    place, header = next(rows)
    if header != COLUMNS:
        raise ValueError(f"{place}: the columns are called {','.join(header)}, not {','.join(COLUMNS)}")
    for place, (split, image, name) in rows:
        if split not in SPLITS:
            raise ValueError(f"{place}: {split!r} is no split: take one of {', '.join(SPLITS)}")
        yield place, SPLITS[split], image, name
