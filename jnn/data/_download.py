"""Files from the network, fetched by pooch: checked by digest, and put in place only when whole."""

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

DownloadProgress = Callable[[Path, int, int | None], None]
"""`progress(path, bytes so far, bytes in all or None)`, called about once per MB."""

_RETRIES = 2  # per address, where the connection fails or the bytes are wrong
_TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 1 << 20  # bytes
# Compressed files must arrive as they are: their digests are those of the compressed bytes.
_HEADERS = {"User-Agent": "jnn", "Accept-Encoding": "identity"}


def download(
    urls: Sequence[str],
    path: Path,
    digest: str = "",
    *,
    folder: Path | None = None,
    progress: DownloadProgress | None = None,
) -> Path:
    """Fetch a file to `path` from the first address that gives the right bytes.

    A file with the right bytes that is there already stays.

    Where several processes want files in one data folder, one fetches and the others wait for it.

    Args:
        urls: Addresses of the same bytes, tried in this order.
        path: Where the file goes; its folder is made.
        digest: "sha256:..." or "md5:..." in hexadecimal digits, or "" to take any bytes.
        folder: Folder of all data, in which `path` lies; by default the one above the file's own.
        progress: Function that is told what has arrived; by default a bar of tqdm, if it is
            installed.

    Returns:
        `path`.

    Raises:
        FileNotFoundError: If no address gives the file; the sentence says why and what to do.
    """
    from filelock import FileLock

    if _is_there(path, digest):
        return path
    folder = folder or path.parent.parent
    reasons = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            for url in urls:
                if _is_there(path, digest):  # by another process
                    break
                reason = _fetch(url, path, digest, progress)
                if reason:
                    reasons.append(f"{url} {reason}")
    except OSError as error:  # the folder cannot be written
        reasons.append(str(error))
    if _is_there(path, digest):
        return path
    known_digest = f" ({digest})" if digest else ""
    raise FileNotFoundError(
        f"The file {path.name}{known_digest} must be fetched, but {'; '.join(reasons)}. Get it "
        f"elsewhere and put it at {path}, or set JNN_DATA to a folder that holds "
        f"{path.relative_to(folder).as_posix()}."
    )


def matches(path: Path, digest: str) -> bool:
    """Return whether a file has this digest; any file matches ""."""
    if not digest:
        return True
    import pooch

    algorithm, _, expected = digest.partition(":")
    return pooch.file_hash(str(path), algorithm) == expected


def _is_there(path: Path, digest: str) -> bool:
    return path.is_file() and matches(path, digest)


def _fetch(url: str, path: Path, digest: str, progress: DownloadProgress | None) -> str:
    """Fetch one file from one address; return what went wrong, or ""."""
    import pooch
    import requests

    files = pooch.create(
        path.parent,
        base_url="",
        registry={path.name: digest or None},  # type: ignore[dict-item]
        urls={path.name: url},
        retry_if_failed=_RETRIES,
    )
    try:
        with _quiet_logger():
            files.fetch(path.name, downloader=_Downloader(path, progress))  # type: ignore[arg-type]
    except _RefusedError as error:
        return str(error)
    except requests.RequestException as error:
        is_late = "timed out" in str(error)
        return "timed out" if is_late else f"failed ({type(error).__name__})"
    except ValueError:
        return "gave other bytes, which were not kept"
    path.chmod(0o666 & ~_umask())  # pooch's temporary files are readable for their owner only
    return ""


class _RefusedError(Exception):
    """A server answered that it does not give the file; asking again does not help."""


class _Downloader:
    """Download by HTTP, as pooch calls it, with a bar or a function for the progress."""

    def __init__(self, path: Path, progress: DownloadProgress | None):
        self.path = path
        self.progress = progress

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        from pooch import HTTPDownloader
        from requests import HTTPError

        bar: Any = importlib.util.find_spec("tqdm") is not None
        if self.progress:
            bar = _Reporter(self.path, self.progress)
        load = HTTPDownloader(bar, _CHUNK, headers=_HEADERS, timeout=_TIMEOUT)
        try:
            load(url, output_file, pooch)
        except HTTPError as error:
            answer = error.response
            assert answer is not None  # a server answered, else there is another error
            raise _RefusedError(f"answered {answer.status_code} {answer.reason}") from error


class _Reporter:
    """What pooch takes for a progress bar, telling a function."""

    def __init__(self, path: Path, progress: DownloadProgress):
        self.path = path
        self.progress = progress
        self.total = 0
        self.done = 0

    def update(self, count: int) -> None:
        """Report `count` more bytes; the last of pooch's counts may exceed the total."""
        self.done += count
        if self.total:
            self.done = min(self.done, self.total)
        self.progress(self.path, self.done, self.total or None)

    def reset(self) -> None:
        """Begin to count anew, as pooch does before it reports the total."""
        self.done = 0

    def close(self) -> None:
        """End the report."""


@contextlib.contextmanager
def _quiet_logger() -> Iterator[None]:
    """Keep pooch from printing each file: errors say what failed, and bars what is fetched."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
