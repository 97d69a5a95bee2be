"""List the examples of CUB-200-2011 (Wah et al. 2011) in its official layout."""

from pathlib import Path

from data_prep.examples import Example
from data_prep.official.lists import find, lines
from data_prep.photos import Photo


def examples(source: Path) -> tuple[list[str], list[Example]]:
    """Class names, and the official train and test images by their official number. Images are not opened.

    `source` is the folder CUB_200_2011, or one or two above it. Raises ValueError with the file and line at fault."""
    root = find(
        source, ("train_test_split.txt", "*/train_test_split.txt", "*/*/train_test_split.txt"), "CUB_200_2011"
    ).parent
    names = _class_names(root / "classes.txt")
    labels = _numbered(root / "image_class_labels.txt", r"(\d{1,9}) (\d{1,9})", "<image> <class>")
    splits = _numbered(root / "train_test_split.txt", r"(\d{1,9}) ([01])", "<image> <1 for train, 0 for test>")
    listed = _numbered(root / "images.txt", r"(\d{1,9}) (\S.*)", "<image> <path>")
    for name, other in (("image_class_labels.txt", labels), ("train_test_split.txt", splits)):
        if lonely := sorted(listed.keys() ^ other.keys(), key=int):
            holder, lacking = ("images.txt", name) if lonely[0] in listed else (name, "images.txt")
            raise ValueError(
                f"{root / lacking} lacks image {lonely[0]}, which {holder} lists"
                f" ({len(listed)} images in images.txt, {len(other)} in {name})"
            )
    found: list[Example] = []
    at: dict[str, str] = {}
    for number, (place, path) in listed.items():
        label_place, label = labels[number]
        if not 1 <= int(label) <= len(names):
            raise ValueError(f"{label_place}: class {label} is not one of 1 to {len(names)}")
        if path.split("/")[:-1] != [names[int(label) - 1]]:
            raise ValueError(f"{place}: {path} is not in the folder of its class, {names[int(label) - 1]}")
        if path in at:
            raise ValueError(f"{place}: {path} stands already in {at[path]}")
        at[path] = place
        photo = Photo(root / "images" / path, place)
        split = splits[number][1]
        found.append(
            Example(
                number, int(label) - 1, "train" if split == "1" else "test", photo.pixels, photo.size, photo.unturned
            )
        )
    return names, found


def _class_names(path: Path) -> list[str]:
    names: list[str] = []
    for place, (number, name) in lines(path, r"(\d{1,9}) (\S.*)", "<class> <name>"):
        if int(number) != len(names) + 1:
            raise ValueError(f"{place}: class {number} stands where {len(names) + 1} should")
        names.append(name)
    return names


def _numbered(path: Path, pattern: str, form: str) -> dict[str, tuple[str, str]]:
    """Image number → (place, the rest of its line)."""
    found: dict[str, tuple[str, str]] = {}
    for place, (number, rest) in lines(path, pattern, form):
        if number in found:
            raise ValueError(f"{place}: image {number} stands already in {found[number][0]}")
        found[number] = (place, rest)
    return found
