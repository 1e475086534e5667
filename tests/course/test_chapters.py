"""Every command in docs/course: short ones are run, all others are planned, and every link and experiment is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from harness.cli import main

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "docs" / "course").glob("*.md"))
BLOCK = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(harness (?:run|sweep|plan) [^`]+)`")
LINK = re.compile(r"\]\(([^)#]+\.md)\)")
RUN = {"arpanet.yaml", "client_server.yaml", "napster.yaml", "discovery.yaml", "chain.yaml", "eclipse.yaml"}  # 5 s each


def commands() -> list[list[str]]:
    """All `harness` commands of all chapters, as words, each once."""
    found: dict[str, None] = {}
    for chapter in CHAPTERS:
        text = chapter.read_text()
        lines = [line for block in BLOCK.findall(text) for line in block.splitlines()] + INLINE.findall(text)
        found.update(dict.fromkeys(line for line in lines if line.startswith("harness ")))
    return [shlex.split(line)[1:] for line in found if "SPEC" not in line]


COMMANDS = commands()


def is_short(words: list[str]) -> bool:
    return words[0] == "run" and "memory" in words and Path(words[1]).name in RUN


def test_there_are_twelve_chapters_with_commands() -> None:
    assert len(CHAPTERS) == 13
    assert len([words for words in COMMANDS if words[0] == "run"]) >= 20


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_command_can_be_planned(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    if words[0] == "sweep":
        assert main(["validate", words[1]]) == 0, capsys.readouterr().err
    elif "libp2p" in words[1]:  # a program that is not installed everywhere
        assert main(["plan", words[1]]) == 0, capsys.readouterr().err
    else:
        options = [word for word in words[2:] if word not in ("--engine", "memory")]
        assert main(["plan", words[1], *options]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("words", [words for words in COMMANDS if is_short(words)], ids=" ".join)
def test_short_command_runs(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    status = main([*words, "--results-root", str(tmp_path), "--progress", "none"])
    changed = any("crash.on" in word for word in words)  # what is expected belongs to another fault
    assert status in ((0, 1) if changed else (0,))
    assert list(tmp_path.glob("*/latest/report.html"))


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_what_a_chapter_names_is_there(chapter: Path) -> None:
    text = chapter.read_text()
    for link in LINK.findall(text):
        assert (chapter.parent / link).exists(), link
    for path in re.findall(r"\b(?:docs|experiments)/[\w./-]*\w\.(?:md|yaml)", text):
        assert (ROOT / path).exists(), path
