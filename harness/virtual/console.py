"""What the kernel's console says about how it ended."""

from __future__ import annotations

from pathlib import Path

LAST_LINES = 15
# What it says -> the reason in BootResult. The first that fits counts.
SIGNS = (
    ("panic_on_oom", "memory"),
    ("Out of memory", "memory"),
    ("ran out of memory on the host side", "memory"),
    ("sleep forever", "asleep"),
    ("Kernel panic", "panic"),
    ("guest: ", "boot"),
    ("jail: ", "jail"),
)


def last_lines(console: Path, count: int = LAST_LINES) -> str:
    lines = _text(console).splitlines()
    return "\n".join(line for line in lines[-count:] if line.strip())


def ending(console: Path) -> tuple[str, str] | None:
    """Reason and the lines around the sign of it; None when the console shows none."""
    lines = _text(console).splitlines()
    for sign, reason in SIGNS:
        for index, line in enumerate(lines):
            if sign in line:
                first = index if sign.endswith(": ") else max(0, index - LAST_LINES)
                return reason, "\n".join(part for part in lines[first : index + 1] if part.strip())
    return None


def _text(console: Path) -> str:
    return console.read_text(errors="replace").replace("\r", "") if console.exists() else ""
