"""The JSON schema of specs, for editors: the models' own, with the names of what is registered filled in."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from harness.spec.model import Spec
from peers.registry import PROGRAMS, PROTOCOLS
from topologies.build import LINK_CLASSES
from topologies.graphs import GRAPHS
from topologies.presets import PRESETS
from topologies.registry import GENERATORS

SHIPPED = Path(__file__).with_name("spec.schema.json")
_TYPES: dict[Any, str] = {int: "integer", float: "number", bool: "boolean", str: "string", NoneType: "null"}


def spec_schema() -> dict[str, Any]:
    """The schema as data; `harness schema` prints it and SHIPPED holds it."""
    schema = Spec.model_json_schema(by_alias=True)
    parts = schema["$defs"]
    for part in parts.values():  # extra keys are refused by a validator of our own, which says what was meant
        part.setdefault("additionalProperties", False)
    parts["Topology"] = _choice("a generator of networks and its parameters", GENERATORS)
    parts["Graph"] = _choice("a generator of overlay graphs and its parameters", GRAPHS)
    parts["Overlay"]["properties"]["protocol"]["enum"] = [*PROTOCOLS, *PROGRAMS]
    parts["Overlay"]["properties"]["peers"] = {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": [{"type": "string"}, _ref("PeerGroup")]}}]
    }
    parts["LinkClass"]["properties"]["preset"] = {"enum": list(PRESETS)}
    for fault in ("crash", "stop", "pause", "resume", "restart"):  # short form: peers alone
        part = parts["FaultEntry"]["properties"][fault]
        part["anyOf"] = [*part["anyOf"], {"type": "string"}, {"type": "array", "items": {"type": "string"}}]
    hook = parts["FaultEntry"]["properties"]["hook"]
    hook["anyOf"] = [*hook["anyOf"], {"type": "string"}]
    number = {"type": "integer", "minimum": 0}
    schema["properties"]["items"] = {"anyOf": [number, _ref("Items")]}
    _selectors_as_text(schema)
    schema["properties"]["links"]["description"] = f"by link class; usual ones: {', '.join(LINK_CLASSES)}"
    schema |= {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Experiment"}
    return schema


def schema_text() -> str:
    return json.dumps(spec_schema(), indent=1) + "\n"


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _choice(text: str, functions: dict[str, Any]) -> dict[str, Any]:
    """One of several generators, each with its own parameters."""
    return {"description": text, "oneOf": [_generator(name, function) for name, function in functions.items()]}


def _generator(name: str, function: Any) -> dict[str, Any]:
    hints = get_type_hints(function)
    parameters = [
        p for p in inspect.signature(function).parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    properties: dict[str, Any] = {"generator": {"const": name}}
    for parameter in parameters:
        properties[parameter.name] = _type(hints[parameter.name])
        if parameter.default is not inspect.Parameter.empty:
            properties[parameter.name]["default"] = parameter.default
    return {
        "type": "object",
        "description": (inspect.getdoc(function) or "").partition("\n\n")[0].replace("\n", " "),
        "properties": properties,
        "required": ["generator", *(p.name for p in parameters if p.default is inspect.Parameter.empty)],
        "additionalProperties": False,
    }


def _type(hint: Any) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, UnionType):
        return {"anyOf": [_type(argument) for argument in arguments]}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type(arguments[1])}
    if origin in (list, tuple):
        return {"type": "array", "items": _type(arguments[0])}
    return {"type": _TYPES[hint]} if hint in _TYPES else {}


def _selectors_as_text(part: Any) -> None:
    """Wherever a list of names is wanted, one name alone will do."""
    if isinstance(part, dict):
        if part.get("type") == "array" and part.get("items") == {"type": "string"} and "anyOf" not in part:
            part.clear()
            part["anyOf"] = [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
            return
        for value in part.values():
            _selectors_as_text(value)
    elif isinstance(part, list):
        for value in part:
            _selectors_as_text(value)
