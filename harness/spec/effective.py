"""The document as it was used: the file's own text, or, where `--set` changed it, its data under the same comments."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from harness.spec.load import Document


def effective_text(document: Document, settings: Sequence[str]) -> str:
    """YAML that gives the same spec when it is read alone."""
    if not settings:
        return document.text
    head = []
    for line in document.text.splitlines():
        if line.strip() and not line.startswith("#"):
            break
        head.append(line)
    changes = [f"# changed by --set {setting}" for setting in settings]
    data = yaml.safe_dump(document.data, sort_keys=False, allow_unicode=True, width=120)
    return "\n".join([*head, *changes, "", data])
