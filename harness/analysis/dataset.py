"""A run as tidy tables: what metrics, figures and the report look at."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import pandas as pd

from harness.analysis import (
    capture,
    chains,
    deliveries,
    eclipse,
    flights,
    messages,
    operations,
    peers,
    probes,
    reachability,
    source,
    splits,
    traffic,
    windows,
)
from harness.analysis.book import Book
from harness.analysis.underlay import Underlay
from harness.analysis.view import View
from harness.analysis.windows import Window
from harness.errors import RecordError
from harness.plan.model import Plan
from harness.records import RunDir


@dataclass(frozen=True)
class Tables:
    """All tables; docs/results.md has their columns. Each becomes `tables/<name>.parquet`."""

    operations: pd.DataFrame
    messages: pd.DataFrame
    lifetimes: pd.DataFrame
    peers: pd.DataFrame
    neighbours: pd.DataFrame
    malformed: pd.DataFrame
    deliveries: pd.DataFrame
    progress: pd.DataFrame
    blocks: pd.DataFrame
    heads: pd.DataFrame
    confirmations: pd.DataFrame
    address_tables: pd.DataFrame
    faults: pd.DataFrame
    fault_checks: pd.DataFrame
    probes: pd.DataFrame
    paths: pd.DataFrame
    reachability: pd.DataFrame
    pressure: pd.DataFrame
    packets: pd.DataFrame
    wire_messages: pd.DataFrame
    flights: pd.DataFrame
    flight_paths: pd.DataFrame
    splits: pd.DataFrame
    traffic: pd.DataFrame


class Dataset:
    """The plan, the manifest and the tables of one run. Tables are attributes: `data.operations`."""

    def __init__(
        self,
        run_dir: RunDir,
        plan: Plan,
        manifest: dict[str, Any],
        end_s: float,
        tables: Tables,
        capture_note: str = "",
        hidden: int = 0,
        underlay: Underlay | None = None,
    ) -> None:
        self.run_dir, self.plan, self.manifest, self.end_s = run_dir, plan, manifest, end_s
        self.capture_note = capture_note  # why there are no packets, or what is wrong with them
        self.hidden = hidden  # segments with messages beyond the capture's snap length
        self.tables = tables
        self.operations, self.messages = tables.operations, tables.messages
        self.lifetimes, self.peers, self.neighbours = tables.lifetimes, tables.peers, tables.neighbours
        self.malformed, self.faults, self.fault_checks = tables.malformed, tables.faults, tables.fault_checks
        self.deliveries, self.progress = tables.deliveries, tables.progress
        self.blocks, self.heads = tables.blocks, tables.heads
        self.confirmations, self.address_tables = tables.confirmations, tables.address_tables
        self.probes, self.paths, self.pressure = tables.probes, tables.paths, tables.pressure
        self.reachability, self.splits = tables.reachability, tables.splits
        self.packets, self.wire_messages = tables.packets, tables.wire_messages
        self.flights, self.flight_paths, self.traffic = tables.flights, tables.flight_paths, tables.traffic
        self.book, self.underlay = Book(plan), underlay or Underlay(plan)  # which keeps the ways that it has found
        self._views: dict[tuple[str | None, float, float], View] = {}

    @cached_property
    def overlays(self) -> tuple[str, ...]:
        """Names of the overlays, in the order of the spec."""
        return tuple(dict.fromkeys(peer.overlay for peer in self.plan.peers))

    @cached_property
    def windows(self) -> tuple[Window, ...]:
        return windows.windows(self.faults, self.end_s)

    @cached_property
    def messages_of(self) -> dict[str, pd.DataFrame]:
        return {str(overlay): group for overlay, group in self.messages.groupby("overlay", observed=True)}

    def view(self, overlay: str | None = None, from_s: float | None = None, to_s: float | None = None) -> View:
        """One overlay, or all, in a stretch of the timeline; without bounds the whole run."""
        key = overlay, 0.0 if from_s is None else from_s, self.end_s if to_s is None else to_s
        if key not in self._views:
            self._views[key] = View(self, *key)
        return self._views[key]

    def within(self, window: Window, overlay: str | None = None) -> View:
        return self.view(overlay, window.from_s, window.to_s)

    def write(self) -> None:
        """Write all tables. Raises RecordError."""
        try:
            self.run_dir.tables.mkdir(exist_ok=True)
            for field in fields(Tables):
                getattr(self.tables, field.name).to_parquet(self.run_dir.table(field.name), index=False)
        except OSError as error:
            raise RecordError(f"cannot write {self.run_dir.tables}: {error.strerror}") from error


def build(run_dir: RunDir) -> Dataset:
    """Read the files of a run and make its tables. Raises RecordError."""
    return from_source(source.read(run_dir))


def from_source(run: source.Source) -> Dataset:
    """The tables of what was read."""
    book, underlay = Book(run.plan), Underlay(run.plan)
    message_table = messages.messages(run, book)
    lives = peers.lifetimes(run)
    probe_table = probes.probes(run)
    frames = capture.tables(run)
    tables = Tables(
        operations=operations.operations(run, book, message_table),
        messages=message_table,
        lifetimes=lives,
        peers=peers.peers(run, book, lives, message_table),
        neighbours=peers.neighbours(run, book, lives),
        malformed=peers.malformed(run),
        deliveries=deliveries.deliveries(run, lives),
        progress=deliveries.progress(run),
        blocks=chains.blocks(run),
        heads=chains.heads(run),
        confirmations=chains.confirmations(run),
        address_tables=eclipse.address_tables(run),
        faults=windows.faults(run),
        fault_checks=windows.checks(run),
        probes=probe_table,
        paths=probes.paths(run, underlay, probe_table),
        splits=splits.splits(run, probe_table),
        reachability=reachability.reachability(run),
        pressure=_pressure(run),
        packets=frames.packets,
        wire_messages=frames.wire_messages,
        flights=frames.flights,
        flight_paths=flights.flight_paths(run, book, underlay, frames.flights),
        traffic=traffic.traffic(frames.packets, message_table, book, underlay),
    )
    return Dataset(run.run_dir, run.plan, run.manifest, run.end_s, tables, frames.note, frames.hidden, underlay)


def read(run_dir: RunDir) -> Dataset:
    """The dataset of a run whose tables were written before: quicker than `build`. Raises RecordError."""
    run = source.read(run_dir, with_events=False)
    try:
        tables = Tables(**{field.name: read_table(run_dir.table(field.name)) for field in fields(Tables)})
    except OSError as error:
        raise RecordError(f"{run_dir.path} has no complete tables; draw its report again: {error}") from error
    return Dataset(run_dir, run.plan, run.manifest, run.end_s, tables)


def read_table(path: Path) -> pd.DataFrame:
    """One table. Raises OSError.

    All in this thread: Arrow's pools may still hold Python objects when the interpreter goes, and then abort the
    process after its work is done (apache/arrow issue 34314), so that its exit status would be a lie.
    """
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path, pre_buffer=False) as file:
        return cast("pd.DataFrame", file.read(use_threads=False).to_pandas(use_threads=False))


def _pressure(run: source.Source) -> pd.DataFrame:
    """Table `pressure`: t_s, and what the engine said of the machine (cpu_busy_pct, late_p99_ms, ...)."""
    table = pd.DataFrame(run.pressure, columns=None if run.pressure else ["t_ns"])
    table.insert(0, "t_s", (table.pop("t_ns").astype("float64") - run.t0_ns) / 1e9)
    return table
