"""Waiting for descriptors: what is ready at once, what becomes ready, and nothing before its time."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterator

import pytest

from peers.waiting import ready

Pipe = tuple[select.epoll, int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    read, write = os.pipe()
    epoll = select.epoll()
    epoll.register(read, select.EPOLLIN)
    yield epoll, read, write
    epoll.close()
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("left_s", [-1.0, 0.0, 0.0002, 0.0037])
def test_nothing_comes_and_it_does_not_return_early(pipe: Pipe, left_s: float) -> None:
    epoll, _, _ = pipe
    due = time.monotonic() + left_s
    assert ready(epoll, due) == []
    assert time.monotonic() >= due


@pytest.mark.parametrize("left_s", [-1.0, 0.0005, 60.0])
def test_what_is_there_is_told_at_once(pipe: Pipe, left_s: float) -> None:
    epoll, read, write = pipe
    os.write(write, b"x")
    begin = time.monotonic()
    assert ready(epoll, begin + left_s) == [(read, select.EPOLLIN)]
    assert time.monotonic() - begin < 30


def test_what_comes_meanwhile_ends_the_wait(pipe: Pipe) -> None:
    epoll, read, write = pipe
    begin = time.monotonic()
    writer = threading.Timer(0.01, os.write, (write, b"x"))
    writer.start()
    assert ready(epoll, begin + 60) == [(read, select.EPOLLIN)]
    assert time.monotonic() - begin < 30
    writer.join()


def test_the_moment_may_never_come(pipe: Pipe) -> None:
    """`inf` is what a loop without alarms waits for; the longest wait of one call is bounded."""
    epoll, read, write = pipe
    os.write(write, b"x")
    assert ready(epoll, float("inf")) == [(read, select.EPOLLIN)]


def test_a_moment_that_was_looked_up_before_is_believed(pipe: Pipe) -> None:
    epoll, _, _ = pipe
    now = time.monotonic()
    assert ready(epoll, now + 3600, now=now + 3600) == []  # due by what the caller says
