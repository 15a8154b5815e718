"""Options in groups: nested in Python, flat on the command line and in files.

A recipe with many options holds some of them in frozen dataclasses of their
own. A field is a group where its default is such a dataclass.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import tyro

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ConfigT = TypeVar("ConfigT", bound="DataclassInstance")


def option_fields(
    config_class: "type[DataclassInstance]",
) -> Iterator[dataclasses.Field]:
    """The fields of a config that are options, those of groups among them.

    Args:
        config_class: A dataclass.
    """
    for field in dataclasses.fields(config_class):
        group = _group(field)
        if group is None:
            yield field
        else:
            yield from option_fields(group)


def flatten(config: "DataclassInstance") -> dict[str, Any]:
    """The values of all options by name, in types that JSON knows.

    Args:
        config: The options.
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if _group(field) is None:
            values[field.name] = value
        else:
            values |= flatten(value)
    return values


def unflatten(
    config_class: type[ConfigT], values: Mapping[str, Any]
) -> ConfigT:
    """The options from their values by name.

    Args:
        config_class: A dataclass.
        values: Its options, as `flatten` gives them; a missing one has its
            default.
    """
    given: dict[str, Any] = {}
    for field in dataclasses.fields(config_class):
        group = _group(field)
        if group is not None:
            given[field.name] = unflatten(group, values)
        elif field.name in values:
            given[field.name] = values[field.name]
    return config_class(**given)


def option_names(config_class: "type[DataclassInstance]") -> list[str]:
    """How the options are written: `"--batch-size"`; no positional ones.

    Args:
        config_class: A dataclass.
    """
    return [
        f"--{field.name.replace('_', '-')}"
        for field in option_fields(config_class)
        if tyro.conf.Positional not in getattr(field.type, "__metadata__", ())
    ]


def _group(field: dataclasses.Field) -> Any:
    """The dataclass of a field that holds further options, else `None`."""
    default: Any = field.default
    return type(default) if dataclasses.is_dataclass(default) else None
