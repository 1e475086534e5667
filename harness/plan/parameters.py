"""Parameters of generators (of topologies, of overlay graphs): what a spec may say, read off their signatures."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

from harness.spec.load import Document
from harness.spec.wording import did_you_mean


def check_parameters(function: Any, given: Mapping[str, Any], document: Document, place: tuple[str | int, ...]) -> None:
    """Raises SpecError for parameters that a generator does not have, or that it needs and does not get."""
    known = {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for name in given:
        if name not in known:
            message = f"{function.__name__} has no parameter {name!r}{did_you_mean(name, known)}"
            raise document.fail((*place, name), message)
    missing = [n for n, p in known.items() if p.default is inspect.Parameter.empty and n not in given]
    if missing:
        message = f"{function.__name__} needs {', '.join(missing)}; it takes {describe(function)}"
        raise document.fail(place, message)


def describe(function: Any) -> str:
    """ "degree: int, seed: int = 1": the keyword parameters of a generator."""
    hints = get_type_hints(function)
    parts = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            default = "" if parameter.default is inspect.Parameter.empty else f" = {parameter.default!r}"
            hint = hints.get(name)
            parts.append(f"{name}: {getattr(hint, '__name__', str(hint))}{default}")
    return ", ".join(parts)
