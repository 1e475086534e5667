"""Runs one function of a test module as root of fresh namespaces, in a process of its own.

    python -m tests.emulation.sandboxed FILE FUNCTION ARGUMENTS     (ARGUMENTS is a JSON list)

Its JSON result is the last line of standard output. What it needs from this directory it imports itself.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120.0


def run(function: Callable[..., Any], *arguments: Any, prefix: Sequence[str] = ()) -> Any:
    """The function's result. `prefix` is a command that runs another (setpriv ...). Fails the test with its errors."""
    done = subprocess.run(
        command(function, *arguments, prefix=prefix), cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(f"{function.__name__} failed inside its sandbox:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def command(function: Callable[..., Any], *arguments: Any, prefix: Sequence[str] = ()) -> list[str]:
    module = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-m", "tests.emulation.sandboxed"]
    return [*prefix, *module, function.__code__.co_filename, function.__name__, json.dumps(arguments)]


def _main(file: str, name: str, arguments: str) -> None:
    from harness.emulation import sandbox

    sandbox.enter()
    spec = importlib.util.spec_from_file_location("scenario", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["scenario"] = module
    spec.loader.exec_module(module)
    print(json.dumps(getattr(module, name)(*json.loads(arguments))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
