"""Workers on other machines, by dask.distributed: an order goes out with its spec, a run directory comes back.

Each worker has one unit of the resource EMULATION, and a cell needs one: real-clock runs on a machine do not disturb
each other. The cells of a worker that is lost are run again by others. A worker whose sources differ refuses.
"""

from __future__ import annotations

import io
import queue
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import EnvironmentUnfit, HarnessError
from harness.records import RunDir
from harness.sweep.cell import Order, Result
from harness.sweep.design import code_version, data_files
from harness.sweep.pool import Pool

EMULATION = "emulation"
CONNECT_S = 10.0
AHEAD = 2  # orders given beyond what the workers can take at once, so that none waits for the next
LEFT_THERE = ("disks", "capture.pcapng")


def remote_cell(
    order: Mapping[str, Any], spec: str, files: Mapping[str, bytes], code: str
) -> tuple[dict[str, Any], bytes]:
    """What a worker does: the result as plain data, and the run directory as a tar without captures."""
    if code != code_version():
        here = code_version()
        problem = f"this worker has another version of the harness ({here}, not {code}): bring it up to date"
        return vars(Result(str(order["run_dir"]), 0.0, "", "", problem)), b""
    with tempfile.TemporaryDirectory(prefix="harness-cell-") as temporary:
        folder = Path(temporary)
        (folder / "spec.yaml").write_text(spec)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        run_dir = folder / "run"
        told = Order(**{**order, "settings": tuple(order["settings"])})
        RunDir(run_dir).create()
        pool = _pool()
        pool.submit(replace(told, spec=str(folder / "spec.yaml"), run_dir=str(run_dir)))
        (result,) = pool.wait()
        return vars(replace(result, run_dir=told.run_dir)), _packed(run_dir)


@cache
def _pool() -> Pool:
    """A process beside the worker's own, for a run wants the main thread and its signals."""
    return Pool(1)


def _packed(run_dir: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted(run_dir.rglob("*")):
            inner = path.relative_to(run_dir)
            if path.is_file() and not path.is_symlink() and inner.parts[0] not in LEFT_THERE:
                archive.add(path, inner.as_posix())
    return buffer.getvalue()


def _unpack(data: bytes, run_dir: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        for member in archive:
            inner = PurePosixPath(member.name)
            content = archive.extractfile(member) if member.isfile() else None
            if content is None or inner.is_absolute() or ".." in inner.parts:
                raise HarnessError(f"a worker sent {member.name!r}, which is no file of a run")
            target = run_dir / inner
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)


class Cluster:
    """The workers of a scheduler, as `harness.sweep.control.Runners`. Raises EnvironmentUnfit."""

    def __init__(self, scheduler: str) -> None:
        from distributed import Client

        try:
            self._client: Any = Client(scheduler, timeout=CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            advice = "start one with `dask scheduler`, and workers with `harness worker ADDRESS`"
            raise EnvironmentUnfit(f"no scheduler answers at {scheduler} ({error}); {advice}") from error
        self._results: queue.Queue[Any] = queue.Queue()
        self._open: dict[Any, Order] = {}
        self.moved_bytes = 0  # of run directories that came back

    @property
    def busy(self) -> int:
        return len(self._open)

    @property
    def has_room(self) -> bool:
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        places = sum(worker.get("resources", {}).get(EMULATION, 0) for worker in workers)
        return len(self._open) < int(max(places, 1)) + AHEAD

    def submit(self, order: Order) -> None:
        spec = Path(order.spec)
        future = self._client.submit(
            remote_cell, vars(order), spec.read_text(), data_files(spec), code_version(),
            resources={EMULATION: 1}, pure=False, retries=1,
        )  # fmt: skip
        self._open[future] = order
        future.add_done_callback(self._results.put)

    def wait(self, seconds: float | None = None) -> list[Result]:
        try:
            future = self._results.get(timeout=seconds)
        except queue.Empty:
            return []
        order = self._open.pop(future)
        if future.status != "finished":
            error = future.exception() if future.status == "error" else "it was cancelled"
            return [Result(order.run_dir, 0.0, "", "", f"lost on the workers: {error}")]
        plain, data = future.result()
        future.release()
        self.moved_bytes += len(data)
        if data:
            _unpack(data, Path(order.run_dir))
        return [Result(**plain)]

    def close(self) -> None:
        for future in self._open:
            with suppress(Exception):  # the scheduler may be gone, which ends them as well
                future.cancel(force=True)
        self._client.close(timeout=CONNECT_S)


def work(scheduler: str, name: str | None, folder: Path) -> None:
    """Be a worker of that scheduler until it goes, or Ctrl-C."""
    import asyncio

    from distributed import Worker

    async def live() -> None:
        async with Worker(
            scheduler, nthreads=1, resources={EMULATION: 1}, name=name, local_directory=str(folder), dashboard=False,
            death_timeout=60,
        ) as worker:  # fmt: skip
            await worker.finished()

    asyncio.run(live())
