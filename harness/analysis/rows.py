"""Tables row by row, for the few places where a loop says it best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pandas as pd


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Each row as a dict by column name."""
    return cast("list[dict[str, Any]]", table.to_dict("records"))
