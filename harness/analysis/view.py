"""One overlay (or all) in one stretch of time: what a metric looks at."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from harness.analysis import components, shape, spread

if TYPE_CHECKING:
    import networkx as nx

    from harness.analysis.dataset import Dataset


class View:
    """Rows of the tables that belong to an overlay (None: all) and fall into from_s <= t < to_s.

    Operations belong to the moment at which the plan asked for them, whenever they ended.
    """

    def __init__(self, data: Dataset, overlay: str | None, from_s: float, to_s: float) -> None:
        self.data, self.overlay, self.from_s, self.to_s = data, overlay, from_s, to_s

    @property
    def seconds(self) -> float:
        return self.to_s - self.from_s

    @cached_property
    def operations(self) -> pd.DataFrame:
        return self._of_overlay(self._within(self.data.operations, "planned_s"))

    @cached_property
    def lookups(self) -> pd.DataFrame:
        """Lookups with an outcome."""
        operations = self.operations
        return operations[(operations["verb"] == "lookup") & operations["ok"].notna()]

    @cached_property
    def answered(self) -> pd.DataFrame:
        """Lookups that found a right provider."""
        return self.lookups[self.lookups["ok"].astype(bool)]

    @cached_property
    def publishes(self) -> pd.DataFrame:
        operations = self.operations
        return operations[(operations["verb"] == "publish") & operations["ok"].notna()]

    @cached_property
    def downloads(self) -> pd.DataFrame:
        """Downloads with an outcome."""
        operations = self.operations
        return operations[(operations["verb"] == "download") & operations["ok"].notna()]

    @cached_property
    def downloaded(self) -> pd.DataFrame:
        """Downloads that are complete and right."""
        return self.downloads[self.downloads["ok"].astype(bool)]

    @cached_property
    def spreads(self) -> pd.DataFrame:
        """How far each message went that was broadcast; see `harness.analysis.spread`."""
        return spread.spreads(self)

    @cached_property
    def deliveries(self) -> pd.DataFrame:
        """First arrivals of messages in the window, whenever these were sent."""
        return self._of_overlay(self._within(self.data.deliveries, "t_s"))

    @cached_property
    def messages(self) -> pd.DataFrame:
        """Traced messages, both sides."""
        by_overlay = self.data.messages if self.overlay is None else self.data.messages_of.get(self.overlay)
        if by_overlay is None:
            return self.data.messages.iloc[:0]
        low, high = by_overlay["t_s"].searchsorted([self.from_s, self.to_s])
        return by_overlay.iloc[low:high]

    @cached_property
    def sent(self) -> pd.DataFrame:
        return self.messages[self.messages["direction"] == "sent"]

    @cached_property
    def received(self) -> pd.DataFrame:
        return self.messages[self.messages["direction"] == "received"]

    @cached_property
    def packets(self) -> pd.DataFrame:
        """Captured frames."""
        table = self.data.packets
        low, high = table["t_s"].searchsorted([self.from_s, self.to_s])
        return self._of_overlay(table.iloc[low:high])

    @cached_property
    def traffic(self) -> pd.DataFrame:
        """Bytes by second; seconds that the window cuts in two are left out."""
        table = self.data.traffic
        return self._of_overlay(table[(table["t_s"] >= self.from_s) & (table["t_s"] + 1 <= self.to_s)])

    @cached_property
    def lifetimes(self) -> pd.DataFrame:
        """When peers were up, cut to the window."""
        lives = self._of_overlay(self.data.lifetimes)
        lives = lives.assign(
            from_s=lives["from_s"].clip(self.from_s, self.to_s), to_s=lives["to_s"].clip(self.from_s, self.to_s)
        )
        return lives[lives["to_s"] > lives["from_s"]]

    @property
    def all_lifetimes(self) -> pd.DataFrame:
        """When peers were up, in the whole run."""
        return self._of_overlay(self.data.lifetimes)

    @cached_property
    def neighbours(self) -> pd.DataFrame:
        """Who counted whom as its neighbour, in the whole run."""
        return self._of_overlay(self.data.neighbours)

    @cached_property
    def graph(self) -> nx.Graph:
        """Peers and their neighbours at the end of the window; see `harness.analysis.shape`."""
        return shape.graph_at(self, self.to_s)

    @cached_property
    def blocks(self) -> pd.DataFrame:
        """Blocks that were mined in the window."""
        return self._of_overlay(self._within(self.data.blocks, "t_s"))

    @cached_property
    def heads(self) -> pd.DataFrame:
        """Changes of peers' best chains in the window."""
        return self._of_overlay(self._within(self.data.heads, "t_s"))

    @cached_property
    def confirmations(self) -> pd.DataFrame:
        """When peers held transactions for confirmed, and when not any more, in the whole run."""
        return self._of_overlay(self.data.confirmations)

    @cached_property
    def address_tables(self) -> pd.DataFrame:
        """What was in the address tables with which peers were started, in the whole run."""
        return self._of_overlay(self.data.address_tables)

    @cached_property
    def edges(self) -> pd.DataFrame:
        """Pairs of peers between whom messages passed; see `harness.analysis.components`."""
        return components.edges(self)

    @cached_property
    def parts(self) -> list[components.Part]:
        """The parts into which the overlay fell, largest first."""
        return components.parts(self)

    @property
    def peers(self) -> pd.DataFrame:
        return self._of_overlay(self.data.peers)

    def _of_overlay(self, table: pd.DataFrame) -> pd.DataFrame:
        return table if self.overlay is None or table.empty else table[table["overlay"] == self.overlay]

    def _within(self, table: pd.DataFrame, column: str) -> pd.DataFrame:
        if table.empty:
            return table
        last = self.to_s >= self.data.end_s  # the end of the run belongs to its last window
        inside = (table[column] >= self.from_s) & ((table[column] < self.to_s) | last)
        return table[inside]
