"""Reads a YAML document; every fault of form becomes a message with file, line, path, what, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from harness.errors import SpecError
from harness.spec.model import Spec
from harness.spec.wording import Place, told

Pairs = dict[str, tuple[yaml.Node, yaml.Node]]  # key -> the nodes of key and value
MERGE = "tag:yaml.org,2002:merge"


class Loader(yaml.SafeLoader):
    """YAML with the words of version 1.2: only true and false are booleans, so that `on:` and `no` stay words."""


Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def scalar(node: yaml.Node) -> Any:
    """The value of a leaf: text, number, boolean or nothing."""
    loader = Loader("")
    try:
        return loader.construct_object(node, deep=True)
    finally:
        loader.dispose()


class Document:
    """A YAML document with the line of every path in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise SpecError(f"cannot read {path}: {error.strerror}; a spec is a file, see experiments/") from error
        except UnicodeDecodeError as error:
            raise SpecError(f"cannot read {path}: it is no text in UTF-8 (byte {error.start})") from error
        self.lines: dict[Place, int] = {}
        self.data = self._parse()

    def _parse(self) -> Any:
        try:
            root = yaml.compose(self.text, Loader=Loader)
            if root is None:
                raise SpecError(f"{self.path}: the file is empty; see experiments/partition.yaml for an example")
            return self._value(root, ())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            raise SpecError(f"{self.path}:{line}: not YAML: {error.problem or error.context}") from error
        except yaml.reader.ReaderError as error:
            line = self.text.count("\n", 0, error.position) + 1
            raise SpecError(f"{self.path}:{line}: not YAML: character {error.character:#x}: {error.reason}") from error
        except RecursionError as error:
            raise SpecError(
                f"{self.path}: nested too deeply; does an alias (*) stand within its own anchor (&)?"
            ) from error

    def _value(self, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            result = {}
            for key, (key_node, value_node) in self._pairs(node, place).items():
                at = (*place, key)
                self.lines[at] = key_node.start_mark.line + 1
                result[key] = self._value(value_node, at)
            return result
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*place, index)) for index, child in enumerate(node.value)]
        try:
            return scalar(node)
        except ValueError as error:  # such as the date 2026-02-31
            raise SpecError(f"{self.path}:{node.start_mark.line + 1}: {dotted(place)}: {error}") from error

    def _pairs(self, node: yaml.MappingNode, place: Place) -> Pairs:
        """By key; what `<<` takes in stands first, and gives way to the mapping's own keys (YAML 1.1, merge keys)."""
        own, merged = Pairs(), Pairs()
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in lines:
                twice = f"this key stands twice; first in line {lines[key]}"
                raise SpecError(f"{self.path}:{line}: {dotted((*place, key))}: {twice}")
            lines[key] = line
            if key_node.tag == MERGE:
                merged = self._merged(value_node, place)
            else:
                own[key] = key_node, value_node
        return merged | own

    def _merged(self, node: yaml.Node, place: Place) -> Pairs:
        """Of one mapping, or of several, of which the first has the last word."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: Pairs = {}
        for source in reversed(sources):
            if not isinstance(source, yaml.MappingNode):
                advice = "takes in a mapping (<<: *name) or a list of mappings (<<: [*one, *other])"
                raise SpecError(f"{self.path}:{source.start_mark.line + 1}: {dotted((*place, '<<'))}: {advice}")
            found |= self._pairs(source, place)
        return found

    def where(self, place: Sequence[str | int]) -> str:
        """`file:line: path` of the nearest place that the document has."""
        known = tuple(place)
        while known and known not in self.lines:
            known = known[:-1]
        path = dotted(place)
        return f"{self.path}:{self.lines.get(known, 1)}: {path}" if path else f"{self.path}"

    def fail(self, place: Sequence[str | int], message: str) -> SpecError:
        """An error at a place of this document, ready to raise."""
        return SpecError(f"{self.where(place)}: {message}")


def dotted(place: Iterable[str | int]) -> str:
    """("faults", 0, "at") -> "faults[0].at"."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def load_document(path: Path, settings: Sequence[str] = ()) -> Document:
    """Read a file and put `--set path=value` settings into its data. Raises SpecError."""
    document = Document(path)
    for setting in settings:
        _set(document, setting)
    return document


def load_spec(path: Path, settings: Sequence[str] = ()) -> tuple[Spec, Document]:
    """The spec in a YAML file. Raises SpecError that lists every fault of form, one a line."""
    document = load_document(path, settings)
    if not isinstance(document.data, dict):
        raise SpecError(
            f"{path}: an experiment is a mapping (name: ..., topology: ..., ...), not a {_kind(document.data)}"
        )
    try:
        return Spec.model_validate(document.data), document
    except ValidationError as error:
        told_faults = (told(fault, document.data) for fault in error.errors())
        messages = dict.fromkeys(f"{document.where(place)}: {text}" for place, text in told_faults)
        raise SpecError("\n".join(messages)) from error


def put(data: Any, path: str, value: Any) -> None:
    """Set what stands at a dotted path in a document's data. Raises SpecError."""
    names = path.replace("[", ".[").split(".")
    parts = [int(name[1:-1]) if re.fullmatch(r"\[\d+\]", name) else name for name in names]
    at = data
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        where = dotted(parts[: depth + 1])
        if isinstance(part, int) and not (isinstance(at, list) and part < len(at)):
            raise SpecError(f"{where} does not exist")
        if isinstance(part, str) and not isinstance(at, dict):
            raise SpecError(f"{dotted(parts[:depth])} is a {_kind(at)} and has no key {part!r}")
        if last:
            at[part] = value
        elif isinstance(part, str):
            at = at.setdefault(part, {})
            if at is None:
                raise SpecError(f"{where} is empty")
        else:
            at = at[part]


def _set(document: Document, setting: str) -> None:
    path, separator, text = setting.partition("=")
    if not separator or not path:
        raise SpecError(f"--set {setting!r}: write path=value, as in --set overlays.dht.options.k=16")
    try:
        value = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or error
        raise SpecError(f"--set {setting!r}: the value is not YAML: {problem}") from error
    try:
        put(document.data, path, value)
    except SpecError as error:
        raise SpecError(f"--set {setting!r}: {error} in {document.path}") from error


def _kind(value: object) -> str:
    return {dict: "mapping", list: "list", str: "text", type(None): "nothing"}.get(type(value), type(value).__name__)
