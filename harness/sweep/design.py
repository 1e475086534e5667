"""What a sweep consists of: variants of a spec, each repeated with the same seeds, each cell with its own address.

A cell's address is a hash of what its outcome depends on: the document as changed, the seed, engine and clock, and the
sources of the harness. Whoever has the directory of that address need not run the cell again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import harness
from harness.errors import SpecError
from harness.plan.build import make_plan
from harness.spec import load_spec
from harness.spec.load import Document, put
from harness.spec.model import Sweep

ALONE = ("sweep=null", "repeat=1")  # what makes an ordinary spec of that of a sweep
NOT_OF_THE_OUTCOME = ("commands", "plots", "report", "reproduce", "sweep", "cli.py", "display.py")
ADDRESS_DIGITS = 16


@dataclass(frozen=True)
class Variant:
    """One set of changes to the spec: `factors` maps each swept path (or "name") to its value."""

    factors: dict[str, Any]
    changes: dict[str, Any]
    whole: bool = False  # labels with whole paths, for these differ only before their last words

    @property
    def label(self) -> str:
        """ "wide hosts=20 ttl=5": its name, and the last words of the paths."""
        words = (
            str(value) if path == "name" else f"{path if self.whole else path.rpartition('.')[2]}={_shown(value)}"
            for path, value in self.factors.items()
        )  # fmt: skip
        return " ".join(words) or "base"

    @property
    def settings(self) -> tuple[str, ...]:
        """As `--set` takes them."""
        return tuple(f"{path}={json.dumps(value)}" for path, value in self.changes.items())


@dataclass(frozen=True)
class Cell:
    """One run that is wanted."""

    variant: Variant
    repetition: int
    seed: int
    address: str

    @property
    def label(self) -> str:
        return f"{self.variant.label} #{self.repetition}"


@dataclass(frozen=True)
class Design:
    """A sweep: where its spec is, what varies, how often each variant is repeated, by which engine."""

    spec_path: Path
    name: str
    base_seed: int
    variants: tuple[Variant, ...]
    repeat: int
    metrics: tuple[str, ...]
    settings: tuple[str, ...]  # of the command line
    engine: str
    clock: str
    base: dict[str, Any]  # the document's data
    together: tuple[str, ...] = ()  # metrics that share a figure

    @cached_property
    def factors(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(path for variant in self.variants for path in variant.factors))

    def cells(self, repeat: int | None = None) -> list[Cell]:
        """All of them, repetition by repetition: half a sweep tells something of every variant."""
        return [
            Cell(variant, repetition, seed, self._address(variant, seed))
            for repetition in range(1, (repeat or self.repeat) + 1)
            for seed in (self.base_seed + repetition - 1,)  # paired: the same for every variant
            for variant in self.variants
        ]

    def _address(self, variant: Variant, seed: int) -> str:
        data = deepcopy(self.base)
        for path, value in variant.changes.items():
            put(data, path, value)
        for key in ("sweep", "repeat", "seed"):
            data.pop(key, None)
        whole = {"spec": data, "seed": seed, "engine": self.engine, "clock": self.clock, "code": code_version()}
        text = json.dumps(whole, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:ADDRESS_DIGITS]


def read_design(path: Path, settings: Sequence[str], seed: int | None, engine: str, clock: str) -> Design:
    """The sweep in a spec; every variant is planned once, so that a wrong one is found before the first run.

    Raises SpecError.
    """
    spec, document = load_spec(path, settings)
    variants = tuple(_variants(spec.sweep, document))
    for variant in variants:
        try:
            changed, changed_document = load_spec(path, [*settings, *variant.settings, *ALONE])
            make_plan(changed, changed_document)
        except SpecError as error:
            raise SpecError(f"variant {variant.label}: {error}") from error
    base_seed = spec.seed if seed is None else seed
    metrics = tuple(spec.sweep.metrics) if spec.sweep else ()
    return Design(
        path, spec.name, base_seed, variants, spec.repeat, metrics, tuple(settings), engine,
        "simulated" if engine == "memory" else clock, document.data, tuple(spec.sweep.together) if spec.sweep else (),
    )  # fmt: skip


def _variants(sweep: Sweep | None, document: Document) -> list[Variant]:
    """Every combination of the grid, for each row of `paired` and each named variant."""
    if sweep is None:
        return [Variant({}, {})]
    named: list[Variant] = [Variant({"name": name}, changes) for name, changes in sweep.variants.items()]
    rows = [Variant(row, row) for row in sweep.paired]
    grid = [Variant(dict(zip(sweep.grid, values, strict=True)), {}) for values in product(*sweep.grid.values())]
    parts = [
        part for part in (named, rows, [Variant(v.factors, v.factors) for v in grid] if sweep.grid else []) if part
    ]
    found = []
    for combination in product(*parts):
        factors = {path: value for part in combination for path, value in part.factors.items()}
        changes = {path: value for part in combination for path, value in part.changes.items()}
        found.append(Variant(factors, changes))
    labels = [json.dumps(variant.changes, sort_keys=True) for variant in found]
    if len(set(labels)) < len(labels):
        raise document.fail(("sweep",), "two variants are the same")
    if len({variant.label for variant in found}) < len(found):  # tables tell variants apart by their labels
        found = [replace(variant, whole=True) for variant in found]
    names = [variant.label for variant in found]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise document.fail(("sweep",), f"two variants would both be called {twice[0]!r}")
    return found


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def data_files(spec: Path) -> dict[str, bytes]:
    """Files beside the spec that it names (`path: map.graphml`). Those of another directory must be on the worker."""
    text = spec.read_text()
    near = (path for path in spec.parent.iterdir() if path.suffix in (".graphml", ".csv") and path.is_file())
    return {path.name: path.read_bytes() for path in near if path.name in text}


_version: list[str] = []


def code_version() -> str:
    """A hash of the sources on which outcomes depend: everything but what draws and talks."""
    if not _version:
        root = Path(harness.__file__).resolve().parent
        digest = hashlib.sha256()
        for folder in (root, root.parent / "peers", root.parent / "topologies"):
            for source in sorted(folder.rglob("*.py")):
                name = source.relative_to(root.parent)
                if folder != root or name.parts[1] not in NOT_OF_THE_OUTCOME:
                    digest.update(f"{name}\n".encode() + source.read_bytes())
        _version.append(digest.hexdigest()[:ADDRESS_DIGITS])
    return _version[0]
