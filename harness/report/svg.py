"""Figures inside the page: as drawn, but in the page's own inks, so that they suit a dark page as well."""

from __future__ import annotations

import re

# Inks of harness.plots.style, by the name of the page's variable that takes their place.
INKS = {"#1b1f24": "--ink", "#8a919a": "--faint", "#ffffff": "--paper", "#e3e6ea": "--rule", "#5b5f66": "--fault"}
_INK = re.compile("|".join(INKS), re.IGNORECASE)
_STYLE = re.compile(r'style="[^"]*"')
_IDS = re.compile(r'(\bid="|href="#|url\(#)')


def inline(text: str, name: str, label: str) -> str:
    """The `<svg>` element of a file: scalable, its ids made unique by `name`, its inks the page's variables."""
    body = text[text.index("<svg") :]
    head, _, rest = body.partition(">")
    box = re.search(r'viewBox="([^"]*)"', head)
    view = box.group(1) if box else "0 0 648 288"
    rest = _IDS.sub(rf"\g<1>{name}-", rest)
    rest = re.sub(r"<metadata>.*?</metadata>", "", rest, flags=re.DOTALL)
    rest = _STYLE.sub(lambda style: _INK.sub(lambda ink: f"var({INKS[ink[0].lower()]})", style[0]), rest)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{view}" '
        f'role="img" aria-label="{label}">{rest}'
    )
