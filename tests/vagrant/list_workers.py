"""list_workers.py SCHEDULER: the names of a dask scheduler's workers, one a line."""

from __future__ import annotations

import sys

from distributed import Client


def main(scheduler: str) -> None:
    with Client(scheduler, timeout=20) as client:
        for worker in client.scheduler_info(n_workers=-1)["workers"].values():
            print(worker["name"])


if __name__ == "__main__":
    main(sys.argv[1])
