"""Ranges of a search from words, as they are written on the command line."""

from typing import Any

from dropzoo.search.parameters import PARAMETERS
from dropzoo.search.search_space import SearchSpace


def read_space(words: str, space: SearchSpace | None = None) -> SearchSpace:
    """Changes a space by words such as `peak_rate=1e-5..1e-1 freeze=all`.

    A word is `NAME=VALUE`, `NAME=VALUE,VALUE` or, of numbers, `NAME=LOW..HIGH`.

    Args:
        words: Words with spaces between them.
        space: What holds where they are silent. Defaults to `SearchSpace()`.

    Returns: The space.

    Raises: ValueError or TypeError when a word cannot be read, or for what
        `SearchSpace` refuses.

    Example:
        >>> space = read_space("backbone=lenet5,notes_cnn dropout=0..0.5")
        >>> print(space["backbone"], space["dropout"])
        lenet5,notes_cnn 0..0.5
    """
    ranges: dict[str, Any] = {}
    for word in words.split():
        name, sign, text = word.partition("=")
        if not sign or not text:
            raise ValueError(
                "SearchSpace: a word must be NAME=VALUE, NAME=VALUE,VALUE or "
                f"NAME=LOW..HIGH. Received: {word!r}"
            )
        if name in ranges:
            raise ValueError(
                f"SearchSpace: `{name}` must be given once. Received: {words!r}"
            )
        ranges[name] = _read(name, text)
    return (space or SearchSpace()).changed(**ranges)


def _read(name: str, text: str) -> Any:
    """What `SearchSpace.changed` takes for a text."""
    kind = PARAMETERS[name].kind if name in PARAMETERS else str
    low, dots, high = text.partition("..")
    if dots and kind is not str:
        return _value(kind, low), _value(kind, high)
    if "," in text:
        return [_value(kind, value) for value in text.split(",")]
    return _value(kind, text)


def _value(kind: type, text: str) -> Any:
    """A number where the parameter is one and the text can be read as one."""
    try:
        return kind(text)
    except ValueError:
        return text  # of the wrong kind, which `SearchSpace` says
