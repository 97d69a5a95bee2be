"""A value as a JSON file that says which version of the program's format it has."""

import json
from pathlib import Path
from typing import Any, TypeVar

import cattrs
from cattrs.preconf.json import make_converter

from bcnn_prune.files import parse_json, require_file

Value = TypeVar("Value")
_converter = make_converter(forbid_extra_keys=True)


def to_json(value: object, version: int) -> str:
    """A dataclass as JSON text, its keys in the order of the fields, the version first."""
    return json.dumps({"version": version, **_converter.unstructure(value)}, indent=1, ensure_ascii=False) + "\n"


def read(path: Path, kind: type[Value], version: int, what: str) -> Value:
    """What `to_json` wrote. Raises ValueError that names the file and says that it is no `what`, or OSError where it
    may not be read."""
    require_file(path)
    try:
        fields: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
        found = fields.pop("version")
        if found != version:
            raise ValueError(f"it has version {found}, this program reads version {version}")
        return _converter.structure(fields, kind)
    except cattrs.BaseValidationError as error:
        raise ValueError(f"{path} is no {what}: " + "; ".join(cattrs.transform_error(error))) from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} is no {what}: {error}") from error
