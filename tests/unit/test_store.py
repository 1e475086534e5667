"""Where peers keep bytes: both stores do the same, and neither lets a name out."""

import pytest

from peers import content
from peers.store import FileStore, MemoryStore, StoreError


@pytest.fixture(params=["memory", "files"])
def store(request, tmp_path):
    return MemoryStore(max_bytes=1 << 20) if request.param == "memory" else FileStore(str(tmp_path / "shared"))


def test_what_is_written_is_read(store):
    store.write("a/b.txt", 3, b"xyz")
    store.write("a/b.txt", 4, b"--!")
    assert (store.size("a/b.txt"), store.size("other")) == (7, None)
    assert store.read("a/b.txt", 0, 100) == b"\0\0\0x--!"
    assert store.read("a/b.txt", 5, 1) == b"-"
    assert store.read("a/b.txt", 50, 1) == b""
    assert store.names() == ["a/b.txt"]
    store.remove("a/b.txt")
    store.remove("a/b.txt")
    assert store.names() == []
    with pytest.raises(StoreError):
        store.read("a/b.txt", 0, 1)


def test_shared_files_have_the_content_of_their_name(store):
    store.share("item01", 300_000)
    assert store.size("item01") == 300_000
    assert store.read("item01", 299_990, 100) == content.read("item01", 299_990, 10)
    assert store.read("item01", 300_001, 100) == b""
    assert store.names() == ["item01"]
    with pytest.raises(StoreError, match="shared"):
        store.write("item01", 0, b"x")
    store.remove("item01")
    store.write("item01", 0, b"x")
    assert store.read("item01", 0, 9) == b"x"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/../../x",
        "/etc/x",
        "a//b",
        "a/",
        "a\0b",
        "a\\b",
        "x" * 256,
        "/".join("a" * 9),
        "\ud800",
    ],
)
def test_names_that_lead_out_are_refused(store, name):
    for do in (store.size, store.remove, lambda n: store.read(n, 0, 1), lambda n: store.write(n, 0, b"x")):
        with pytest.raises(StoreError):
            do(name)


def test_links_are_not_followed(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "shared" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "shared" / "up").symlink_to(tmp_path)
    store = FileStore(str(tmp_path / "shared"))
    for name in ("link", "up/secret", "up/new"):
        with pytest.raises(StoreError, match="leads out"):
            store.write(name, 0, b"x")
        with pytest.raises(StoreError, match="leads out"):
            store.read(name, 0, 1)
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_a_full_store_says_so_and_keeps_what_it_has():
    store = MemoryStore(max_bytes=10)
    store.write("a", 0, b"12345678")
    for name, offset, data in (("b", 0, b"123"), ("a", 1 << 39, b"1")):
        with pytest.raises(StoreError, match="full"):
            store.write(name, offset, data)
    store.remove("a")
    store.write("b", 0, b"1234567890")
    assert store.read("b", 0, 10) == b"1234567890"


def test_what_is_on_disk_outlives_the_store(tmp_path):
    FileStore(str(tmp_path / "shared")).share("item02", 10)
    assert FileStore(str(tmp_path / "shared")).read("item02", 0, 10) == content.read("item02", 0, 10)


def test_nothing_is_made_before_the_first_write(tmp_path):
    store = FileStore(str(tmp_path / "shared"))
    assert store.names() == []
    assert not (tmp_path / "shared").exists()


@pytest.mark.parametrize(("offset", "count"), [(-1, 1), (0, -1), (1 << 40, 1)])
def test_ranges_out_of_bounds_are_refused(store, offset, count):
    store.write("a", 0, b"x")
    with pytest.raises(StoreError):
        store.read("a", offset, count)


def test_renamed_in_the_place_of_another(store):
    store.write("part", 0, b"new")
    store.write("whole", 0, b"older")
    store.rename("part", "whole")
    assert (store.read("whole", 0, 9), store.size("part"), store.names()) == (b"new", None, ["whole"])
    for old, new in (("part", "whole"), ("whole", "../x")):
        with pytest.raises(StoreError):
            store.rename(old, new)
