"""Downloads from a local server: fresh, cut off, wrong, missing, late, and several at once."""

import contextlib
import hashlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest

from jnn.data._download import download, matches

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


class Handler(BaseHTTPRequestHandler):
    """Gives CONTENT; /cut ends the first answer in the middle, /stall is late."""

    def do_GET(self):
        self.server.requests.append(self.path)
        if self.path == "/missing":
            return self.send_error(404)
        body = CONTENT[::-1] if self.path == "/other" else CONTENT
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path == "/stall":
            time.sleep(0.5)
        is_cut = self.path == "/cut" and len(self.server.requests) == 1
        time.sleep(0.3 if self.path == "/slow" else 0)
        with contextlib.suppress(OSError):  # whoever asked has gone
            self.wfile.write(body[: 1_200_000 if is_cut else None])
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Try again at once."""
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "set" / "file.bin"


def files(path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir())


def fails(urls, path, digest=SHA256) -> str:
    """The one sentence of a failed download, that leaves no file."""
    with pytest.raises(FileNotFoundError) as error:
        download(urls, path, digest)
    assert not path.exists() and "\n" not in str(error.value)
    assert str(error.value).startswith(f"The file file.bin ({digest}) must be fetched, but ")
    assert f"put it at {path}, or set JNN_DATA to a folder that holds set/file.bin" in str(
        error.value
    )
    return str(error.value)


@pytest.mark.parametrize("digest", [SHA256, MD5, ""])
def test_a_file_arrives_whole_and_leaves_nothing_else(server, path, digest):
    reports = []
    assert (
        download(
            [f"{server.url}/file"], path, digest, progress=lambda *report: reports.append(report)
        )
        == path
    )
    assert path.read_bytes() == CONTENT and files(path) == ["file.bin"]
    assert reports[-1] == (path, len(CONTENT), len(CONTENT))


def test_a_good_file_is_not_fetched_again_and_a_bad_one_is(server, path):
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    download([f"{server.url}/file"], path, SHA256)
    assert server.requests == []
    path.write_bytes(CONTENT[:-1])
    download([f"{server.url}/file"], path, SHA256)
    assert path.read_bytes() == CONTENT


def test_a_cut_connection_is_tried_again(server, path):
    download([f"{server.url}/cut"], path, SHA256)
    assert path.read_bytes() == CONTENT and files(path) == ["file.bin"]
    assert server.requests == ["/cut", "/cut"]


def test_a_file_can_be_read_by_others_as_the_system_says(server, path):
    download([f"{server.url}/file"], path, SHA256)
    other = path.with_name("other")
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_wrong_bytes_are_not_kept(server, path):
    assert f"{server.url}/other gave other bytes, which were not kept" in fails(
        [f"{server.url}/other"], path
    )
    assert files(path) == []


def test_a_mirror_is_asked_where_an_address_fails(server, path):
    download([f"{server.url}/missing", f"{server.url}/other", f"{server.url}/file"], path, SHA256)
    assert path.read_bytes() == CONTENT


def test_a_file_of_nested_folders_is_named_from_the_data_folder_on(server, path):
    with pytest.raises(
        FileNotFoundError, match=r"or set JNN_DATA to a folder that holds nested/set/file\.bin\.$"
    ):
        download([f"{server.url}/missing"], path.parent / "nested/set/file.bin", folder=path.parent)


def test_a_missing_file_is_one_sentence(server, path):
    assert f"{server.url}/missing answered 404 Not Found" in fails([f"{server.url}/missing"], path)
    assert len(server.requests) == 1


def test_a_server_that_says_nothing_is_left(server, path, monkeypatch):
    monkeypatch.setattr("jnn.data._download._TIMEOUT", 0.1)
    assert f"{server.url}/stall timed out" in fails([f"{server.url}/stall"], path)


def test_no_network_is_one_sentence(path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file"
        assert f"{url} failed (" in fails([url], path)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "set").write_text("a file where the folder should be")
    assert "exists" in fails(["http://127.0.0.1:9/file"], tmp_path / "set" / "file.bin")


def test_several_that_want_the_same_file_fetch_it_once(server, path):
    with ThreadPoolExecutor(
        4
    ) as pool:  # the lock is one of open files: threads contend for it as processes do
        list(pool.map(lambda _: download([f"{server.url}/slow"], path, SHA256), range(4)))
    assert matches(path, SHA256) and files(path) == ["file.bin"] and len(server.requests) == 1
