"""Finding, checking and (up to the compiler) building the kernel, in caches made up for the purpose."""

from __future__ import annotations

import hashlib
import json
import tarfile

import pytest

from harness.errors import EnvironmentUnfit, HarnessError
from harness.virtual import boot, build, kernel, source


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache and an empty /usr/src."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(source.VARIABLE, raising=False)
    monkeypatch.setattr(source, "FOLDER", tmp_path / "src")
    (tmp_path / "src").mkdir()
    return tmp_path / "cache" / "p2p-harness"


def add_source(name, content=b"kernel"):
    path = source.FOLDER / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def add_kernel(program=b"program", digest=None):
    found = source.find_source()
    where = kernel.directory(found) if found else kernel.cache_directory() / "kernels" / "old"
    where.mkdir(parents=True)
    (where / "linux").write_bytes(program)
    manifest = {
        "release": "6.12.1",
        "recipe": kernel.recipe(),
        "sha256": digest or hashlib.sha256(program).hexdigest(),
        "symbols": {},
    }
    (where / "kernel.json").write_text(json.dumps(manifest))
    return where


def test_newest_source_counts_and_old_ones_do_not(cache):
    assert source.find_source() is None
    add_source("linux-source-6.1.tar.xz")
    assert source.find_source() is None
    add_source("linux-source-6.12.tar.xz")
    add_source("linux-source-6.14.0/linux-source-6.14.0.tar.bz2")
    add_source("linux-config-6.18.tar.xz")
    found = source.find_source()
    assert found is not None
    assert found.version == (6, 14)


def test_source_named_by_the_user(cache, tmp_path, monkeypatch):
    path = tmp_path / "linux-6.16.3.tar.xz"
    monkeypatch.setenv(source.VARIABLE, str(path))
    with pytest.raises(EnvironmentUnfit, match=r"linux-6\.16\.3"):
        source.find_source()
    path.write_bytes(b"")
    assert source.need_source().version == (6, 16)


def test_without_a_source_the_package_is_named(cache):
    with pytest.raises(EnvironmentUnfit, match=r"apt-get install linux-source-6\.12"):
        kernel.build(print)


def test_status_says_what_to_do(cache):
    assert kernel.status().state == "missing"
    with pytest.raises(EnvironmentUnfit, match="harness kernel build"):
        kernel.find()


def test_a_whole_kernel_is_found(cache):
    add_source("linux-source-6.12.tar.xz")
    where = add_kernel()
    assert kernel.status().state == "ready"
    assert kernel.find().path == where / "linux"


def test_a_kernel_stays_usable_when_its_source_is_gone(cache):
    add_kernel()
    assert kernel.find().release == "6.12.1"


def test_another_source_needs_another_kernel(cache):
    add_source("linux-source-6.12.tar.xz")
    add_kernel()
    add_source("linux-source-6.12.tar.xz", b"a newer package")
    assert kernel.status().state == "missing"


def test_a_damaged_kernel_is_noticed(cache):
    add_source("linux-source-6.12.tar.xz")
    where = add_kernel()
    (where / "linux").write_bytes(b"progrbm")
    assert kernel.status().state == "damaged"
    (where / "linux").unlink()
    assert kernel.status().state == "damaged"
    (where / "linux").write_bytes(b"program")
    (where / "kernel.json").write_text("{")
    with pytest.raises(EnvironmentUnfit, match="damaged"):
        kernel.find()


def test_missing_tools_are_named_by_package(cache, tmp_path, monkeypatch):
    add_source("linux-source-6.12.tar.xz")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentUnfit, match="apt-get install bc binutils bison flex gcc make patch tar xz-utils"):
        kernel.build(print)


def test_a_step_that_fails_shows_its_output(cache, monkeypatch):
    """The source is a tar file with nothing to patch in it."""
    path = source.FOLDER / "linux-source-6.12.tar.gz"
    inside = source.FOLDER / "linux"
    inside.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        tar.add(inside, "linux")
    monkeypatch.setattr(build, "TOOLS", {"tar": "tar", "patch": "patch"})
    monkeypatch.setattr(build, "_has_static_libc", lambda: True)
    lines: list[str] = []
    with pytest.raises(HarnessError, match="No file to patch"):
        kernel.build(lines.append)
    assert lines[0] == f"unpacking {path}"
    assert [entry.name for entry in (cache / "kernels").iterdir()] == ["build.lock"]


def test_options_that_a_source_refuses_are_named(monkeypatch, tmp_path):
    fragment = tmp_path / "kernel.config"
    fragment.write_text("# comment\nCONFIG_NET=y\nCONFIG_MODULES=n\nCONFIG_NEW=y\n")
    monkeypatch.setattr(kernel, "CONFIG", fragment)
    build.check_config("CONFIG_NET=y\nCONFIG_NEW=y\n")
    with pytest.raises(HarnessError, match="CONFIG_NEW"):
        build.check_config("CONFIG_NET=y\n# CONFIG_MODULES is not set\n")


@pytest.mark.parametrize(("text", "mib"), [("512M", 512), ("4G", 4096), ("1GiB", 1024), (" 2gb", 2048)])
def test_memory_sizes(text, mib):
    assert boot.parse_memory(text) == mib


@pytest.mark.parametrize("text", ["", "4", "4T", "1.5G", "64M"])
def test_memory_sizes_that_are_none(text):
    with pytest.raises(EnvironmentUnfit):
        boot.parse_memory(text)


def test_more_memory_than_there_is():
    with pytest.raises(EnvironmentUnfit, match="this machine has"):
        boot.check_memory(2**30)
