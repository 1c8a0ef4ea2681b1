"""Files from the network: checked, atomic, and resumed where a download was cut off."""

import contextlib
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

Progress = Callable[[Path, int, int | None], None]
"""`progress(path, bytes so far, bytes in all or None)`, called about once per MB."""

_TRIES = 3  # per address, each going on where the last one was cut off
_TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 1 << 20
_FAILURES = (
    OSError,
    http.client.HTTPException,
)  # URLError, refused and cut connections, time-outs, a full disk


def download(
    urls: Sequence[str],
    path: Path,
    digest: str = "",
    *,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Puts the file at `path`, from the first address that gives one of this digest; a good file there stays.

    The bytes are gathered in `path` + ".partial", which takes its final name only when it is complete and right. Of
    several processes that want files in one folder, one fetches and the others wait for it (where the system has
    `flock`).

    Args:
        urls: Addresses of the same bytes.
        path: Where the file goes; its folder is made.
        digest: "sha256:..." or "md5:..." in hexadecimal digits; "" takes what comes, where none was published.
        folder: That of all data, in which the path lies; by default the one above the file's own.
        progress: Told of what has arrived.

    Raises:
        FileNotFoundError: One sentence with all reasons, and what to do without a network.
    """
    if path.is_file() and fits(path, digest):
        return path
    reasons = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(path.parent):
            for url in () if path.is_file() and fits(path, digest) else urls:
                reason = _get(url, path, digest, progress)
                if not reason:
                    return path
                reasons.append(f"{url} {reason}")
    except OSError as error:  # the folder cannot be written
        reasons.append(str(error))
    if path.is_file() and fits(path, digest):
        return path
    known, place = (
        f" ({digest})" if digest else "",
        path.relative_to(folder or path.parent.parent).as_posix(),
    )
    raise FileNotFoundError(
        f"wanted the file {path.name}{known}, but {'; '.join(reasons)}: get it elsewhere and "
        f"put it at {path}, or set JNN_DATA to a folder that holds {place}"
    )


def fits(path: Path, digest: str) -> bool:
    """Whether a file has this digest; any file has the digest ""."""
    if not digest:
        return True
    kind, _, wanted = digest.partition(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest() == wanted


def _get(url: str, path: Path, digest: str, progress: Progress | None) -> str:
    """Fetches one file from one address; what went wrong, or "" if all is well."""
    partial = path.with_name(path.name + ".partial")
    reason = ""
    for _ in range(_TRIES):
        try:
            is_resumed = _append(url, partial, path, progress)
        except urllib.error.HTTPError as error:
            reason = f"answered {error.code} {error.reason}"
            if (
                error.code != 416
            ):  # the server will not change its mind; 416: the partial file is longer than the whole
                return reason
            partial.unlink(missing_ok=True)
            continue
        except _FAILURES as error:
            reason = f"failed ({getattr(error, 'reason', None) or error})"
            continue
        if fits(partial, digest):
            partial.replace(path)
            return ""
        partial.unlink()
        reason = "gave other bytes, which were not kept"
        if not is_resumed:
            return reason
    return reason


def _append(url: str, partial: Path, path: Path, progress: Progress | None) -> bool:
    """Adds to the partial file what it lacks, or all if the server does not resume; whether it was resumed."""
    begun = partial.stat().st_size if partial.exists() else 0
    headers = {"User-Agent": "jnn", **({"Range": f"bytes={begun}-"} if begun else {})}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
        is_resumed = begun > 0 and answer.status == 206
        begun = begun if is_resumed else 0
        length = answer.headers.get("Content-Length")
        total = None if length is None else begun + int(length)
        with partial.open("ab" if is_resumed else "wb") as file:
            done = begun + _copy(
                answer, file, lambda done: progress and progress(path, begun + done, total)
            )
    if total is not None and done < total:
        raise ConnectionError(f"was cut off after {done} of {total} bytes")
    return is_resumed


def _copy(answer: http.client.HTTPResponse, file: BinaryIO, tell: Callable[[int], object]) -> int:
    done = 0
    while chunk := answer.read(_CHUNK):
        file.write(chunk)
        done += len(chunk)
        tell(done)
    return done


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, which ends with the process; elsewhere than on POSIX there is none."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a network's file system may have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
