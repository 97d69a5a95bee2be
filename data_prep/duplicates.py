"""Files of the same bytes among labelled images: none may be both trained on and tested on."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from bcnn_prune.files import checksum
from data_prep.examples import Example, Split

KEPT_FIRST: tuple[Split, ...] = ("test", "val", "train")
"""Split whose copy is kept, so that a test split that was given stays whole."""


def without_duplicates(
    paths: Mapping[str, Path], examples: Sequence[Example], drop: bool
) -> tuple[list[Example], list[str]]:
    """The examples with one file of the same bytes each, and a line for every file left out. `paths` is by id.

    Files of the same bytes in two classes are all left out: their class is unknown. Raises ValueError for files of the
    same bytes in two splits, unless `drop`."""
    by_id = {example.id: example for example in examples}
    left_out: dict[str, str] = {}
    across: list[str] = []
    for group in same_bytes(paths):
        first, *others = sorted(group, key=lambda id: (KEPT_FIRST.index(by_id[id].split), id))
        across += [
            f"{paths[first]} and {paths[id]} are the same image in two splits"
            f"{' and two classes' * (by_id[id].label != by_id[first].label)}"
            for id in others
            if by_id[id].split != by_id[first].split
        ]
        other_class = next((id for id in others if by_id[id].label != by_id[first].label), None)
        if other_class is not None:
            left_out[first] = f"{paths[first]} is the same image as {paths[other_class]}, in two classes"
        classes = ", in two classes" if other_class is not None else ""
        left_out |= {id: f"{paths[id]} is the same image as {paths[first]}{classes}" for id in others}
    if across and not drop:
        more = f", and {len(across) - 1:,} more such files" if len(across) > 1 else ""
        raise ValueError(f"{across[0]}{more}: remove one, or pass --drop-duplicates")
    return [example for example in examples if example.id not in left_out], list(left_out.values())


def same_bytes(paths: Mapping[str, Path]) -> list[list[str]]:
    """Groups of two or more ids whose files have the same bytes. Only files of the same size are read."""
    by_size: defaultdict[int, list[str]] = defaultdict(list)
    for id, path in paths.items():
        by_size[path.stat().st_size].append(id)
    by_content: defaultdict[str, list[str]] = defaultdict(list)
    for ids in by_size.values():
        for id in ids if len(ids) > 1 else ():
            by_content[checksum(paths[id])].append(id)
    return [ids for ids in by_content.values() if len(ids) > 1]
