"""A table of what each clip of a set shows, in words."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from dyntex.errors import InputError
from dyntex.media.paths import place_of

HEADER = ("file", "caption")


def read_captions(table: str | Path, names: Collection[str]) -> dict[str, str]:
    """A caption for each member of a set, by its name.

    Args:
        table: UTF-8, comma-separated, with a first line that has ``file`` and ``caption``; other columns are passed
            over. A file is named as seen from the set's folder, ``fire/03.mp4``.
        names: of the members, each of which needs a caption.

    Raises:
        InputError: the table cannot be read, or a caption is missing, empty, given twice or of none of the members;
            the message names the row.
    """
    try:
        with place_of(table).open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            captions = _captions(table, rows, names)
    except OSError as error:
        raise InputError(f"{table} cannot be read ({error.strerror}): give a table of captions") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{table} is not a table of captions ({error}): save it as comma-separated UTF-8") from error
    lacking = [name for name in names if name not in captions]
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise InputError(f"{table} has no caption of {lacking[0]}{more}: add a row for each")
    return captions


def _captions(table: str | Path, rows: csv.DictReader[str], names: Collection[str]) -> dict[str, str]:
    if not set(HEADER) <= set(rows.fieldnames or ()):
        begins = ",".join(rows.fieldnames or ()) or "nothing"
        raise InputError(f"{table} begins with {begins!r}: its first line is {','.join(HEADER)}")
    captions: dict[str, str] = {}
    for row in rows:
        where = f"{table}, line {rows.line_num},"
        if None in row:  # where DictReader puts what is beyond the header
            raise InputError(f"{where} has more fields than the header: put a caption with commas in double quotes")
        name = str(PurePosixPath((row["file"] or "").strip().replace("\\", "/")))
        caption = (row["caption"] or "").strip()
        if name not in names:
            raise InputError(
                f"{where} names {row['file']!r}, which is not a file of the set: use the file names in the folder"
            )
        if not caption:
            raise InputError(f"{where} has an empty caption of {name}: say what it shows")
        if name in captions:
            raise InputError(f"{where} has a second caption of {name}: keep one of them")
        captions[name] = caption
    return captions
