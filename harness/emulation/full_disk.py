"""A disk that is full for one process: the kernel lets no write of it to a file through (RLIMIT_FSIZE of 0).

Such a write fails with EFBIG, as Python ignores the signal (SIGXFSZ) that would come with it. Pipes and sockets are not
files, and what was written can be read.
"""

from __future__ import annotations

import resource


def fill(pid: int, full: bool) -> None:
    """Let each write of the process (0: of this one) to a file fail, or no more. Raises ProcessLookupError."""
    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0 if full else hard, hard))


def is_full(pid: int) -> bool:
    """As the kernel says. Raises ProcessLookupError."""
    return resource.prlimit(pid, resource.RLIMIT_FSIZE)[0] == 0
