"""Read a folder of anyone's own images, a folder per class, as torchvision's ImageFolder does.

<class>/…                     without splits: test and val are to be cut
train/<class>/… test/<class>/…  val is to be cut, unless there is val/ or valid/ beside them

Folders in a class folder belong to the class. An EXIF rotation is applied: no published box refers to raw frames."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.duplicates import without_duplicates
from data_prep.examples import Example, Split
from data_prep.official.lists import require_folder
from data_prep.photos import Photo, files_in, is_image, is_visible

SPLIT_FOLDERS: dict[str, Split] = {"train": "train", "test": "test", "val": "val", "valid": "val", "validation": "val"}
"""Names of folders that hold a split, in small or capital letters."""

SPLIT_LIKE = re.compile(r"(train|test|val|dev|eval|hold-?out)(ing|id|idation|uation)?([ _-]?(set|data|images|\d+))?")
"""Names of folders that may hold a split under another name."""

FEWEST = 3
"""Images of a class: one each to train, validate and test on."""


@dataclass(frozen=True)
class Folder:
    """Classes and labelled images of a folder; all are in train where it has no splits."""

    class_names: list[str]
    examples: list[Example]
    left_out: list[str]
    """A line for each file that is not used: outside of all classes, no image by its name, a link to a folder, or the
    same as another."""


def read(source: Path, drop_duplicates: bool = False) -> Folder:
    """Classes and images in `source`, or in the only folder in it. Images are not decoded.

    Raises ValueError with the path at fault: class folders that are missing, images outside of them, splits that are
    incomplete or mixed with other folders. So it does for fewer than two classes or than FEWEST images of a class, for
    empty files, and for names that are not UTF-8. `without_duplicates` tells which duplicates are refused."""
    require_folder(source)
    root = _unwrapped(source)
    splits = _split_folders(root)
    class_folders = [(split, path) for split, folder in splits for path in _class_folders(folder)]
    names = sorted({path.name for _, path in class_folders})
    examples: list[Example] = []
    paths: dict[str, Path] = {}
    outside = dict.fromkeys([root, *(folder for _, folder in splits)])
    left_out = [f"{path} lies in no folder of a class" for folder in outside for path in _files(folder)]
    for split, folder in class_folders:
        images, others = files_in(folder)
        left_out += [
            f"{path} is {'a link to a folder' if path.is_dir() else 'no image by its name'}" for path in others
        ]
        for path in images:
            id = _id(path, root)
            photo = Photo(path, turned=True)
            paths[id] = path
            examples.append(Example(id, names.index(folder.name), split, photo.pixels, photo.size))
    _require_enough(root, names, examples, left_out)
    for path in paths.values():
        if not path.is_file() or path.stat().st_size == 0:
            raise ValueError(f"{path} is {'empty' if path.is_file() else 'no file, or a broken link'}: remove it")
    examples, duplicates = without_duplicates(paths, examples, drop_duplicates)
    _require_enough(root, names, examples, left_out + duplicates)
    return Folder(names, examples, left_out + duplicates)


def _unwrapped(source: Path) -> Path:
    """`source`, or the folder that unpacking an archive left in it."""
    inside = _folders(source)
    while len(inside) == 1 and _folders(inside[0]) and not _images(source):
        source = inside[0]
        inside = _folders(source)
    return source


def _split_folders(root: Path) -> list[tuple[Split, Path]]:
    """Each split's folder; `root` itself as train where its folders are classes."""
    folders = _folders(root)
    if not folders:
        raise ValueError(f"--source {root} holds no folder: it needs one folder of images per class")
    named = {path: SPLIT_FOLDERS[path.name.lower()] for path in folders if path.name.lower() in SPLIT_FOLDERS}
    found = Counter(named.values())
    others = [path for path in folders if path not in named]
    if others and len(found) < 2:
        _refuse_splits_of_other_names(root, folders)
        return [("train", root)]  # a class may be called train
    if others:
        splits = sorted(found, key=("train", "val", "test").index)
        raise ValueError(f"{others[0]} lies beside {' and '.join(splits)}: move it away, or into them as a class")
    if lacking := {"train", "test"} - found.keys():
        way_out = ": rename val to test, and val will be cut from train" if found.keys() == {"train", "val"} else ""
        raise ValueError(f"--source {root} has {_listed(folders)} and no {' and no '.join(sorted(lacking))}{way_out}")
    if twice := [split for split, count in found.items() if count > 1]:
        raise ValueError(f"--source {root} has {_listed(folders)}: more than one folder for {twice[0]}")
    _refuse_loose_images(root)
    return [(split, path) for path, split in named.items()]


def _refuse_splits_of_other_names(root: Path, folders: Sequence[Path]) -> None:
    """Raise ValueError for folders such as Training and Testing, or train and dev, that hold no image and share class
    folders' names."""
    shared = set.intersection(*({path.name for path in _folders(folder)} for folder in folders))
    if len(folders) < 2 or not shared or any(map(_images, folders)):
        return
    names = [folder.name.lower() for folder in folders]
    if any(map(SPLIT_LIKE.fullmatch, names)) or all(re.search("train|test|val", name) for name in names):
        raise ValueError(
            f"--source {root}: {_listed(folders)} hold folders of the same names, as splits do: call them train, test "
            "and, where there is one, val"
        )


def _class_folders(folder: Path) -> list[Path]:
    _refuse_loose_images(folder)
    return _folders(folder)


def _refuse_loose_images(folder: Path) -> None:
    if loose := _images(folder):
        raise ValueError(f"{loose[0]} lies in no folder of a class: move it into one, or away")


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()]


def _files(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if not path.is_dir()]


def _images(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if is_image(path.name) and not path.is_dir()]


def _entries(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if is_visible(path.name))


def _id(path: Path, root: Path) -> str:
    id = path.relative_to(root).as_posix()
    try:
        id.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{path!r} has a name that is not UTF-8: rename it") from error
    return id


def _require_enough(root: Path, names: Sequence[str], examples: Sequence[Example], left_out: Sequence[str]) -> None:
    if len(names) < 2:
        raise ValueError(f"--source {root} holds {_listed(names) or 'no class'}: a classifier needs two classes")
    counts = Counter(example.label for example in examples)
    few = [f"{name!r} has {counts[label]}" for label, name in enumerate(names) if counts[label] < FEWEST]
    if few:
        left = (
            f" (left out: {left_out[0]}{f', and {len(left_out) - 1:,} more' * (len(left_out) > 1)})" if left_out else ""
        )
        raise ValueError(
            f"--source {root}: class {', '.join(few[:5])}{' …' if len(few) > 5 else ''} images{left}:"
            f" at least {FEWEST} are needed, to train, validate and test on"
        )


def _listed(items: Sequence[Path | str]) -> str:
    return ", ".join(item.name if isinstance(item, Path) else item for item in items)
