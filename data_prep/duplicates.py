"""Files of the same bytes among labelled images: none may be both trained on and tested on."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bcnn_prune.files import checksum
from data_prep.examples import Example, Split

KEPT_FIRST: tuple[Split, ...] = ("test", "val", "train")
"""Split whose copy is kept: a test split that was given stays whole."""


def without_duplicates(paths: Mapping[str, Path], examples: Sequence[Example], drop: bool) -> list[Example]:
    """The examples, of files with the same bytes one only. `paths` maps their ids to files.

    Raises ValueError where two files of the same bytes are in two classes and, unless `drop`, where there are any."""
    by_id = {example.id: example for example in examples}
    extra: list[tuple[str, str]] = []
    for group in same_bytes(paths):
        kept, *others = sorted(group, key=lambda id: (KEPT_FIRST.index(by_id[id].split), id))
        for other in others:
            if by_id[other].label != by_id[kept].label:
                raise ValueError(f"{paths[kept]} and {paths[other]} are the same image in two classes: remove one")
            extra.append((kept, other))
    if extra and not drop:
        kept, other = extra[0]
        more = f", and {len(extra) - 1:,} more such files" if len(extra) > 1 else ""
        raise ValueError(
            f"{paths[kept]} and {paths[other]} are the same image{more}: remove one, or pass --drop-duplicates"
        )
    dropped = {other for _, other in extra}
    return [example for example in examples if example.id not in dropped]


def same_bytes(paths: Mapping[str, Path]) -> Iterable[list[str]]:
    """Groups of two or more ids whose files have the same bytes. Only files of the same size are read."""
    by_size: defaultdict[int, list[str]] = defaultdict(list)
    for id, path in paths.items():
        by_size[path.stat().st_size].append(id)
    by_content: defaultdict[str, list[str]] = defaultdict(list)
    for ids in by_size.values():
        for id in ids if len(ids) > 1 else ():
            by_content[checksum(paths[id])].append(id)
    return [ids for ids in by_content.values() if len(ids) > 1]
