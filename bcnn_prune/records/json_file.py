"""Dataclasses as JSON: the version of the format first, then the fields in their order; and one reader with one kind of
error."""

from pathlib import Path
from typing import Any, TypeVar

import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.preconf.json import make_converter

from bcnn_prune.files import json_text, parse_json, require_file
from bcnn_prune.records.measures import Evaluation
from bcnn_prune.spec import ModelSpec

Value = TypeVar("Value")
CONVERTER = make_converter(forbid_extra_keys=True)
# Files from before layers had forms, and evaluations a loss, hold none, and stay as they are.
CONVERTER.register_unstructure_hook(
    ModelSpec, make_dict_unstructure_fn(ModelSpec, CONVERTER, forms=override(omit_if_default=True))
)
CONVERTER.register_unstructure_hook(
    Evaluation, make_dict_unstructure_fn(Evaluation, CONVERTER, loss=override(omit_if_default=True))
)
_structure_spec = make_dict_structure_fn(ModelSpec, CONVERTER, _cattrs_forbid_extra_keys=True)


def with_backbone(fields: Any) -> Any:
    """`fields` with the name of a backbone in the place of the depth of a VGG, which files from before there were
    other backbones hold; any other value as it is."""
    if not isinstance(fields, dict) or "depth" not in fields:
        return fields
    return {
        "backbone" if name == "depth" else name: f"vgg{value}" if name == "depth" else value
        for name, value in fields.items()
    }


@CONVERTER.register_structure_hook
def _spec(fields: Any, _: type[ModelSpec]) -> ModelSpec:
    """The spec of a file."""
    return _structure_spec(with_backbone(fields), ModelSpec)


class VersionMismatch(ValueError):
    """Written in another version of the format."""


def to_fields(value: object, version: int | None) -> dict[str, Any]:
    """The JSON object of a dataclass, without a version where that is None."""
    fields: dict[str, Any] = CONVERTER.unstructure(value)
    return fields if version is None else {"version": version, **fields}


def to_json(value: object, version: int | None = None) -> str:
    """JSON text of a dataclass."""
    return json_text(to_fields(value, version))


def parse(text: str, cls: type[Value], version: int | None = None) -> Value:
    """Build a `cls` from JSON text. Raises VersionMismatch for another version, ValueError for any other text."""
    fields = parse_json(text)
    if not isinstance(fields, dict):
        raise ValueError("it holds no object")
    if version is not None:
        if "version" not in fields:
            raise ValueError("it has no version")
        if (stored := fields.pop("version")) != version:
            raise VersionMismatch(f"it has version {stored}, this program reads version {version}")
    try:
        return CONVERTER.structure(fields, cls)
    except cattrs.BaseValidationError as error:
        raise ValueError("; ".join(cattrs.transform_error(error))) from error


def read(path: Path, cls: type[Value], kind: str, version: int | None = None) -> Value:
    """Build a `cls` from a file. Raises ValueError that names the file and the `kind` that it is not, OSError where it
    cannot be read."""
    require_file(path)
    try:
        return parse(path.read_text(encoding="utf-8"), cls, version)
    except ValueError as error:
        raise ValueError(f"{path} is no {kind}: {error}") from error
