"""What can go wrong, as one small tree.

HarnessError            exit status 3 unless a run had already begun
 ├── SpecError          the document: what, which file and line, what is allowed
 ├── EnvironmentUnfit   this machine or user cannot do it: what is missing, how to get it
 ├── EmulationError     the network did not become what the plan says
 └── RecordError        a run directory that cannot be read or written
"""

from __future__ import annotations

PASSED, FAILED, UNDECIDED, UNABLE = 0, 1, 2, 3  # exit statuses: the contract of `harness run`


class HarnessError(Exception):
    """Base of every error that is told to the user in one message: what was wrong, where, and what to do."""


class SpecError(HarnessError):
    """The experiment document (or a file it names) is wrong."""


class EnvironmentUnfit(HarnessError):
    """The machine, its kernel or the user's rights cannot carry the experiment out."""


class EmulationError(HarnessError):
    """The network, a process or a setting did not become what was asked."""


class RecordError(HarnessError):
    """A run directory cannot be read or written."""
