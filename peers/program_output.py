"""What a program of others says, line by line, and the events that its lines mean."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

READ_BYTES = 65_536
LONGEST_LINE = 1 << 16  # longer ones are cut
LISTENING, UNCONNECTED = "0A", "07"  # states of sockets in /proc/net/tcp and udp
NUMBER = re.compile(r"-?\d+(\.\d+)?")
GROUP = re.compile(r"\{([a-z_]+)\}")

Told = tuple[int, str, dict[str, Any]]  # t_ns (0: when it was read), event, fields


class Output:
    """Lines from a descriptor; a carriage return ends one as well (progress bars)."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._rest = b""

    def read(self) -> list[str] | None:
        """What can be read now; None at its end, or when there is nothing."""
        try:
            data = os.read(self.descriptor, READ_BYTES)
        except BlockingIOError:
            return None
        if not data:
            return None
        *lines, self._rest = re.split(rb"\r\n|\n|\r", self._rest + data)
        if len(self._rest) > LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        return [text for line in lines if (text := _text(line))]

    def rest(self) -> list[str]:
        """A last line without its end."""
        line, self._rest = self._rest, b""
        return [text] if (text := _text(line)) else []


def _text(line: bytes) -> str:
    return line[:LONGEST_LINE].decode(errors="replace").rstrip()


class Rules:
    """Turns lines into events: by patterns, or because they are events as JSON already."""

    def __init__(self, rules: list[dict[str, Any]], json_lines: bool) -> None:
        self.rules = [(re.compile(rule["match"]), rule["event"], rule["fields"]) for rule in rules]
        self.json_lines = json_lines

    @staticmethod
    def found(pattern: str, line: str) -> bool:
        return bool(_compiled(pattern).search(line))

    def events(self, line: str, values: dict[str, str]) -> Iterator[Told]:
        if self.json_lines:
            yield from _from_json(line)
            return
        for pattern, event, fields in self.rules:
            if found := pattern.search(line):
                groups = {key: value for key, value in found.groupdict().items() if value is not None}
                named = {key: _number(value) for key, value in groups.items()}
                yield 0, event, {**named, **{key: _filled(v, {**values, **groups}) for key, v in fields.items()}}


def _from_json(line: str) -> Iterator[Told]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return
    if isinstance(fields, dict) and isinstance(event := fields.pop("event", None), str):
        t_ns = fields.pop("t_ns", 0)
        yield (t_ns if isinstance(t_ns, int) else 0), event, fields


def _filled(value: Any, values: dict[str, str]) -> Any:
    """A text that is nothing but one value in braces becomes a number if that looks like one."""
    if not isinstance(value, str):
        return value
    text = GROUP.sub(lambda found: values.get(found[1], found[0]), value)
    return _number(text) if GROUP.fullmatch(value) else text


def _number(text: str) -> int | float | str:
    if not NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


@lru_cache(maxsize=8)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def is_open(kind: str, port: int) -> bool:
    """Whether something listens on that port in this network namespace, on any address."""
    state = LISTENING if kind == "tcp" else UNCONNECTED
    wanted = f":{port:04X}"
    for name in (kind, f"{kind}6"):
        path = Path("/proc/self/net") / name
        if path.exists():
            for line in path.read_text().splitlines()[1:]:
                words = line.split()
                if words[1].endswith(wanted) and words[3] == state:
                    return True
    return False
