"""`command:` of a peer group: any program as a peer (docs/commands.md).

Texts may hold values in braces, such as {port}; harness/plan/programs.py knows which.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from error
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]
Signal = Literal["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "KILL"]


class Strict(BaseModel):
    """Refuses unknown keys, as in harness/spec/model.py."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Ready(Strict):
    """How a program shows that it works: one of these."""

    output: Pattern | None = Field(None, description="a regular expression found in a line of its output")
    port: Literal["tcp", "udp"] | None = Field(None, description="its own port is open in its host")
    file: str | None = Field(None, description="this file exists")

    @model_validator(mode="after")
    def _one(self) -> Ready:
        if sum(given is not None for given in (self.output, self.port, self.file)) != 1:
            raise ValueError("name one of 'output', 'port' and 'file'")
        return self


class Rule(Strict):
    """A line of output that means an event; named groups become its fields, and numbers in them become numbers."""

    match: Pattern
    event: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    fields: dict[str, Any] = {}


class ProvidedFile(Strict):
    """A file that lies in the data directory before the program starts."""

    path: str
    text: str | None = Field(None, description="this text")
    content: str | None = Field(None, description="the content of this item")
    torrent: str | None = Field(None, description="a torrent of this item")
    trackers: list[str] = Field([], description="announce URLs of the torrent")

    @model_validator(mode="after")
    def _one(self) -> ProvidedFile:
        if sum(given is not None for given in (self.text, self.content, self.torrent)) != 1:
            raise ValueError("name one of 'text', 'content' and 'torrent'")
        if self.trackers and self.torrent is None:
            raise ValueError("'trackers' go with 'torrent'")
        return self


class PeerCommand(Strict):
    """Any program in a peer's place."""

    program: str = Field(description="a name that is looked for on PATH, or a path")
    arguments: list[str | int | float] = []
    environment: dict[str, str] = {}
    files: list[ProvidedFile] = []
    starts: Literal["with the run", "with a download"] = Field(
        "with the run", description="with a download: each command `download` starts it anew, for one item"
    )
    ready: Ready | None = Field(None, description="absent: as soon as it is started")
    events: Literal["json_lines"] | list[Rule] = []
    verbs: list[str] = Field([], description="commands that it takes, as JSON lines on its standard input")
    result: str | None = Field(None, description="with a download: the file that must then be the item, byte for byte")
    stop_signal: Signal = "TERM"
    needs: dict[str, str] = Field({}, description="Python modules, or paths, that it needs: how to install each")

    @model_validator(mode="after")
    def _fits(self) -> PeerCommand:
        if self.starts == "with a download" and (self.ready or self.verbs):
            raise ValueError("a program that starts with a download is always ready and takes no other commands")
        if self.result is not None and self.starts != "with a download":
            raise ValueError("'result' goes with 'starts: with a download'")
        return self
