"""`harness doctor` and `harness kernel`: what this machine can do."""

from __future__ import annotations

import json
from argparse import Namespace

from harness.errors import PASSED, UNABLE


def doctor(arguments: Namespace) -> int:
    """Say what is there and what is missing; exit status 3 when experiments cannot run at all."""
    from harness.emulation.doctor import examine

    findings = examine()
    if arguments.json:
        print(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        for finding in findings:
            print(f"{'ok ' if finding.ok else 'NO ' if finding.needed else '-- '} {finding.what}: {finding.detail}")
    return UNABLE if any(finding.needed and not finding.ok for finding in findings) else PASSED


def kernel(arguments: Namespace) -> int:
    from harness.virtual.kernel import build, status

    if arguments.action == "build":
        path = build(print)
        print(f"the kernel is ready: {path}")
        return PASSED
    print(status())
    return PASSED
