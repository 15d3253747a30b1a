"""Files that come from elsewhere: what to call them here, and how they get in their place."""

from __future__ import annotations

import hashlib
import os
import secrets
import unicodedata
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Iterator, Union

from .wire import ClientError

LONGEST_NAME = 200  # bytes: file systems take 255, and what is added while a file is not whole needs some
SEPARATORS = "/\\:"  # of any system


def safe_name(label: str) -> str:
    """A file name for a label that somebody else chose: one part of a path, visible, and not too long.

    Separators and what steers terminals (or turns the direction of writing) become `_`; dots in front go, and
    so do two in a row.
    """
    name = "".join(
        "_" if letter in SEPARATORS or unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") else letter
        for letter in label
    )
    while ".." in name:
        name = name.replace("..", ".")
    while name[:1] == "." or name[:1].isspace():
        name = name[1:]
    name = name.encode("utf-8")[:LONGEST_NAME].decode("utf-8", "ignore").strip()
    return name or "file"


def target_of(label: str, to: Union[str, Path], overwrite: bool) -> Path:
    """Where a file with this label goes: into `to` if that is a folder, else to exactly that path.

    ClientError: there is a file already, and it is not to be overwritten.
    """
    target = Path(to)
    if target.is_dir():
        target = target / safe_name(label)
    if not overwrite and os.path.lexists(target):
        raise ClientError(f"{target} exists already")
    return target


@contextmanager
def written_beside(target: Path, overwrite: bool) -> Iterator[BinaryIO]:
    """A file to write and read, which takes the place of `target` if all goes well and vanishes if not.

    ClientError: `target` has come into being meanwhile, and is not to be overwritten. OSError names `target`.
    """
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb+") as file:
            yield file
        if overwrite:
            os.replace(part, target)
        else:
            _move_to_new(part, target)
    except OSError as error:
        if error.filename is not None and str(error.filename) == str(part):
            error.filename = str(target)  # the other name means nothing to anybody
        raise
    finally:
        if part.exists():
            part.unlink()


def _move_to_new(part: Path, target: Path) -> None:
    try:
        if os.name == "nt":
            os.rename(part, target)  # refuses to overwrite
            return
        os.link(part, target)  # so does this
    except FileExistsError:
        raise ClientError(f"{target} exists already") from None
    except OSError:  # a file system without links: this leaves a moment in which a new file would be lost
        if os.path.lexists(target):
            raise ClientError(f"{target} exists already") from None
        os.rename(part, target)


def write_out(data: bytes) -> None:
    """Write all of it to standard output, now. ClientError: nobody reads that any more."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(1, rest) :]
    except BrokenPipeError:
        raise ClientError("nobody reads what goes to standard output") from None


def sha256_of(file: BinaryIO) -> str:
    """The digest, in hexadecimal, of an open file from its beginning."""
    digest = hashlib.sha256()
    file.seek(0)
    while True:
        block = file.read(1 << 20)
        if not block:
            return digest.hexdigest()
        digest.update(block)
