"""List the examples of FGVC-Aircraft (Maji et al. 2013) in its official layout, by variant."""

from pathlib import Path

from data_prep.examples import Example, Split
from data_prep.official.lists import find, lines
from data_prep.photos import Photo

BANNER = 20
"""Height in pixels of the copyright banner at the bottom of every image (the set's README)."""


def examples(source: Path) -> tuple[list[str], list[Example]]:
    """Class names, and the images by their official id; the official train and val images are all in train.

    `source` is the folder fgvc-aircraft-2013b, its data folder, or one or two above it. Images are not opened. Raises
    ValueError with the file and line at fault."""
    test = "images_variant_test.txt"
    data = find(source, (test, f"data/{test}", f"*/data/{test}", f"*/*/data/{test}"), "fgvc-aircraft-2013b").parent
    training = _training(data)
    tested = _listed([data / test])
    for id in tested.keys() & training.keys():
        raise ValueError(f"{tested[id][0]}: image {id} is to train on in {training[id][0]}")
    names = _class_names(data, training, tested)
    labels = {name: label for label, name in enumerate(names)}
    found = []
    parts: tuple[tuple[Split, dict[str, tuple[str, str]]], ...] = (("train", training), ("test", tested))
    for split, listed in parts:
        for id, (place, variant) in listed.items():
            if variant not in labels:
                raise ValueError(f"{place}: {variant!r} is not in {data / 'variants.txt'}")
            photo = Photo(data / "images" / f"{id}.jpg", place, banner=BANNER)
            found.append(Example(id, labels[variant], split, photo.pixels, photo.size, photo.unturned))
    return names, found


def _training(data: Path) -> dict[str, tuple[str, str]]:
    parts = [data / "images_variant_train.txt", data / "images_variant_val.txt"]
    both = data / "images_variant_trainval.txt"
    if not all(path.is_file() for path in parts):
        if not both.is_file():
            raise ValueError(f"{data} lacks images_variant_train.txt and _val.txt, and images_variant_trainval.txt too")
        return _listed([both])
    found = _listed(parts)
    if both.is_file():
        whole = _listed([both])
        for id in sorted(found.keys() | whole.keys()):
            if id not in whole or id not in found or whole[id][1] != found[id][1]:
                place = (whole.get(id) or found[id])[0]
                raise ValueError(f"{place}: image {id} stands otherwise or not at all in {both.name} or its two parts")
    return found


def _listed(paths: list[Path]) -> dict[str, tuple[str, str]]:
    """Image id → (place, variant)."""
    found: dict[str, tuple[str, str]] = {}
    for path in paths:
        for place, (id, variant) in lines(path, r"(\d+) (\S.*)", "<image> <variant>"):
            if id in found:
                raise ValueError(f"{place}: image {id} stands already in {found[id][0]}")
            found[id] = (place, variant)
    return found


def _class_names(data: Path, *listed: dict[str, tuple[str, str]]) -> list[str]:
    """The variants in official order, or sorted where variants.txt did not come along."""
    path = data / "variants.txt"
    if not path.is_file():
        return sorted({variant for images in listed for _, variant in images.values()})
    return [name for _, (name,) in lines(path, r"(\S.*)", "<variant>")]
