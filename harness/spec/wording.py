"""What the models' validation finds, in the words of the document: place, what was found, what belongs there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from harness.spec.allowed import keys_at
from harness.spec.model import Spec

Place = tuple[str | int, ...]
SHOWN = 60  # characters of what was found
_LISTED = 30  # names at most, of what is allowed
_KEY_FAULTS = ("missing", "extra_forbidden")  # the last part of their place names a key, there or not
_KINDS = {
    "model": "a mapping", "dict": "a mapping", "list": "a list", "string": "a text", "int": "a whole number",
    "float": "a number", "bool": "true or false",
}  # fmt: skip


def told(fault: ErrorDetails, data: Any) -> tuple[Place, str]:
    """A fault's place in the document and its message."""
    place = _place_in(data, fault["loc"], fault["type"] in _KEY_FAULTS)
    if fault["type"] == "missing":
        return place, "this key is missing"
    if fault["type"] == "extra_forbidden":
        key = str(place[-1])
        return place, f"unknown key {key!r}{did_you_mean(key, keys_at(Spec, fault['loc'][:-1]))}"
    if fault["type"] == "value_error":
        found = fault["input"]
        return place, fault["msg"].removeprefix("Value error, ").replace(repr(found), short(found))
    return place, f"found {short(fault['input'])}: {_belongs(fault, place)}"


def _belongs(fault: ErrorDetails, place: Place) -> str:
    if fault["type"] == "too_short":
        return f"at least {fault['ctx']['min_length']} of them belong here"
    kind = _KINDS.get(fault["type"].partition("_")[0])
    if kind is None or not fault["type"].endswith(("_type", "_parsing", "_from_float")):
        return f"{fault['msg'][0].lower()}{fault['msg'][1:]}"
    keys = keys_at(Spec, place) if fault["type"] == "model_type" else []
    return f"{kind} belongs here" + (f", with keys of: {', '.join(keys)}" if keys else "")


def _place_in(data: Any, parts: Sequence[str | int], names_key: bool) -> Place:
    """The parts that are steps in the document: pydantic also names the member of a union that it tried."""
    return tuple(_steps(data, parts, names_key))


def _steps(data: Any, parts: Sequence[str | int], names_key: bool) -> Iterator[str | int]:
    for number, part in enumerate(parts):
        if isinstance(part, int) or (isinstance(data, dict) and part in data):
            yield part
            data = data[part] if isinstance(part, str) or (isinstance(data, list) and part < len(data)) else None
        elif names_key and number == len(parts) - 1:
            yield part


def did_you_mean(found: str, allowed: Iterable[str]) -> str:
    """ "; did you mean 'delay'?" or an empty string, then what is allowed."""
    names = list(dict.fromkeys(allowed))
    near = difflib.get_close_matches(found, names, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    return f"{hint} Allowed: {shown}" if hint else f"; allowed: {shown}"


def short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
