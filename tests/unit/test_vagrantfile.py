"""The Vagrantfile, read by Ruby with a stand-in for Vagrant: which machines it makes, and what each is told to run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAND_IN = """
class Config
  def initialize(name) = @name = name
  def vm = self
  def define(name, **_options)
    puts "machine #{name}"
    yield Config.new(name)
  end
  def network(_kind, ip:) = puts("#{@name} has #{ip}")
  def provision(_kind, path: nil, inline: nil) = puts("#{@name} runs #{path || inline[/ExecStart=([^']+)/, 1]}")
  def method_missing(_name, *_arguments, **_options)
    yield self if block_given?
    self
  end
  def respond_to_missing?(*) = true
end
module Vagrant
  def self.configure(_version) = yield(Config.new("all"))
end
load "Vagrantfile"
"""

pytestmark = pytest.mark.skipif(shutil.which("ruby") is None, reason="Ruby is not installed here")


def read(nodes: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "NODES"}
    if nodes is not None:
        environment["NODES"] = nodes
    command = ["ruby", "-W0", "-e", STAND_IN]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("nodes", [None, "0"])
def test_one_machine_unless_told_otherwise(nodes: str | None) -> None:
    assert read(nodes).stdout.splitlines() == ["all runs tools/provision.sh"]


def test_a_scheduler_and_its_workers() -> None:
    assert read("2").stdout.splitlines() == [
        "all runs tools/provision.sh",
        "machine scheduler",
        "scheduler has 192.168.56.10",
        "scheduler runs /opt/p2p-harness/bin/dask scheduler --no-dashboard --host 192.168.56.10",
        "machine worker1",
        "worker1 has 192.168.56.11",
        "worker1 runs /usr/local/bin/harness worker tcp://192.168.56.10:8786 --name worker1",
        "machine worker2",
        "worker2 has 192.168.56.12",
        "worker2 runs /usr/local/bin/harness worker tcp://192.168.56.10:8786 --name worker2",
    ]


@pytest.mark.parametrize("nodes", ["x", "-1", "201", ""])
def test_what_is_no_number_of_workers_is_refused_in_one_line(nodes: str) -> None:
    read_so = read(nodes)
    assert read_so.returncode != 0
    assert read_so.stderr.splitlines() == [
        f"NODES={nodes} is not a number of workers: write 0 (one machine alone) to 200"
    ]
