"""Which keys are allowed at a place of the document: found by walking the models' own annotations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel


def keys_at(model: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """The keys of the mapping at `place` below a model, in their order; [] where there is no model."""
    kinds: list[Any] = [model]
    for part in place:
        following = [kind for kind in kinds for kind in _step(kind, part)]
        kinds = following or kinds  # pydantic names the member of a union in its places: no step in the document
    keys = [field.alias or name for kind in kinds if _is_model(kind) for name, field in kind.model_fields.items()]
    return list(dict.fromkeys(keys))


def _step(kind: Any, part: str | int) -> Iterator[Any]:
    """What lies below a mapping's key or a list's index."""
    if _is_model(kind):
        for name, field in kind.model_fields.items():
            if part in (name, field.alias):
                yield from _members(field.annotation)
    elif get_origin(kind) is dict and isinstance(part, str):
        yield from _members(get_args(kind)[1])
    elif get_origin(kind) is list and isinstance(part, int):
        yield from _members(get_args(kind)[0])


def _members(annotation: Any) -> Iterator[Any]:
    """The alternatives of a union, without Annotated."""
    if get_origin(annotation) is Annotated:
        yield from _members(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
