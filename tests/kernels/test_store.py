"""The kernel store keeps whole files only, notices damage, and never stops anybody from working."""

import errno
import os
import time
from pathlib import Path

import pytest

from kernels import store
from kernels.store import KernelStore, cache_directory

CODE = bytes(range(256)) * 5


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch):
    monkeypatch.setattr(store, "_said", set())


@pytest.fixture
def kept(tmp_path):
    found = KernelStore(tmp_path / "kernels")
    found.write("key", CODE)
    return found


def lines(capsys) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_what_was_written_is_read(kept, capsys):
    assert kept.read("key") == CODE
    kept.write("key", b"newer")
    assert kept.read("key") == b"newer"
    assert kept.read("another") is None
    assert lines(capsys) == []


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 32 + len(CODE) - 1])
def test_a_truncated_file_is_ignored_and_said(kept, capsys, length):
    path = kept.directory / "key.o"
    path.write_bytes(path.read_bytes()[:length])
    assert kept.read("key") is None
    assert kept.read("key") is None
    (line,) = lines(capsys)
    assert "damaged" in line and "key.o" in line and "compiling that kernel again" in line


@pytest.mark.parametrize("position", [0, 31, 32, 700, -1])
def test_a_changed_byte_is_noticed(kept, capsys, position):
    path = kept.directory / "key.o"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    assert kept.read("key") is None
    assert len(lines(capsys)) == 1
    kept.write("key", CODE)
    assert kept.read("key") == CODE


def test_a_file_where_the_directory_should_be(tmp_path, capsys):
    (tmp_path / "kernels").write_text("in the way")
    blocked = KernelStore(tmp_path / "kernels")
    for key in ("a", "b"):
        assert blocked.read(key) is None
        blocked.write(key, CODE)
    (line,) = lines(capsys)
    assert "kernel cache cannot be read" in line and str(tmp_path) in line


@pytest.mark.parametrize("call", ["tempfile.mkstemp", "os.replace", "pathlib.Path.mkdir"])
@pytest.mark.parametrize("reason", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_directory_that_cannot_be_written(tmp_path, capsys, monkeypatch, call, reason):
    def refuse(*args, **kwargs):
        raise OSError(reason, os.strerror(reason))
    directory = tmp_path / "kernels"
    directory.mkdir()
    monkeypatch.setattr(call, refuse)
    for key in ("a", "b"):
        KernelStore(directory).write(key, CODE)
    monkeypatch.undo()
    (line,) = lines(capsys)
    assert "cannot be written" in line and os.strerror(reason) in line
    assert list(directory.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_directory(kept, capsys):
    kept.directory.chmod(0o500)
    try:
        kept.write("another", CODE)
        assert kept.read("key") == CODE
    finally:
        kept.directory.chmod(0o700)
    assert len(lines(capsys)) == 1


def test_an_interrupt_while_writing_leaves_no_file(kept, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt
    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        kept.write("another", CODE)
    assert [path.name for path in kept.directory.iterdir()] == ["key.o"]


def test_what_a_killed_process_left_is_removed_later(kept):
    old, fresh = kept.directory / ".writing-old", kept.directory / ".writing-fresh"
    for path in (old, fresh):
        path.write_bytes(b"half a ker")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    kept.write("another", CODE)
    assert not old.exists()
    assert fresh.exists(), "another process may be writing it now"


def test_without_a_home_nothing_is_kept(monkeypatch, capsys):
    def no_home():
        raise RuntimeError("Could not determine home directory.")
    monkeypatch.delenv("MINIGRAPH_CACHE_DIR", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert cache_directory() is None
    assert cache_directory() is None
    (line,) = lines(capsys)
    assert "no home directory" in line and "MINIGRAPH_CACHE_DIR" in line
    nowhere = KernelStore(None)
    nowhere.write("key", CODE)
    assert nowhere.read("key") is None


def test_the_directory_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIGRAPH_CACHE_DIR", str(tmp_path))
    assert cache_directory() == tmp_path
    monkeypatch.delenv("MINIGRAPH_CACHE_DIR")
    monkeypatch.setattr(store.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_directory() == tmp_path / "x" / "minigraph"
