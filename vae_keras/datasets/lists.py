"""Lists with a row for each image, as text or csv: the name of its file, then values."""

import csv


def find(root, stem):
    """Returns the `Path` of a list in the folder `root`, or `None`."""
    paths = [root / f"{stem}.txt", root / f"{stem}.csv"]
    found = [path for path in paths if path.is_file()]
    if len(found) > 1:
        print(f"{found[0]} is read, and not {found[1].name} beside it.", flush=True)
    return found[0] if found else None


def read(path):
    """Reads the rows of a list.

    Args:
        path: `Path`. Fields are separated by blanks in a `.txt` file; in a `.csv` file by
            what its first line holds most of: commas, semicolons or tabs.

    Returns:
        Iterator of pairs: the number of a line, and its fields, strings without the
        blanks and quotes around them. Empty lines are left out.

    Raises:
        ValueError: If the file is not text in UTF-8, or a field is longer than any can be.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not text in UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from error
    lines = text.splitlines()
    if path.suffix == ".csv":
        return _read_csv(path, lines, has_blanks=" " in text or "\t" in text)
    return ((number, line.split()) for number, line in enumerate(lines, 1) if line.strip())


def parse(path, rows, meaning, width):
    """Returns the values of each file: a dict of bytes, `width` values of `meaning`.

    Args:
        path: `Path` of the list, for messages.
        rows: Iterator, as `read` returns it.
        meaning: Dict of integers, by the strings that stand for them.
        width: Integer.

    Raises:
        ValueError: If a row is malformed, or two rows of one file disagree.
    """
    found = {}
    for number, (name, *values) in rows:
        try:
            encoded = bytes(map(meaning.__getitem__, values))
        except KeyError:
            encoded = b""
        if len(values) != width or len(encoded) != width:
            received = ("," if path.suffix == ".csv" else " ").join([name, *values])
            raise ValueError(
                f"{path}, line {number}: expected a file name and {width} values out of "
                f"{tuple(meaning)}. Received: {received[:60]!r}"
            )
        if found.setdefault(name, encoded) != encoded:
            raise ValueError(
                f"{path}, line {number}: the values of {name} are not those of an earlier row. "
                "Remove the row that is wrong."
            )
    return found


def rows_of(names, rows, path):
    """Returns the rows of the images, in their order; rows of others are counted in print.

    Raises:
        ValueError: If an image has no row.
    """
    without_row = [name for name in names if name not in rows]
    if without_row:
        problem = f"{len(without_row):,} images without a row ({_some(without_row)})"
        if len(without_row) == len(names):
            problem = f"no image has a row ({_some(names)})"
            problem += f"; the rows are of {_some(list(rows))}" if rows else ""
        raise ValueError(f"{path} and the {len(names):,} images disagree: {problem}.")
    # Images may be the beginning of CelebA, the lists all of it.
    left_out = len(rows) - len(names)
    if left_out:
        noun, verb = ("row", "is") if left_out == 1 else ("rows", "are")
        print(f"{path.name}: {left_out:,} {noun} without an image {verb} left out.", flush=True)
    return [rows[name] for name in names]


def _read_csv(path, lines, has_blanks):
    first = next((line for line in lines if line.strip()), "")
    separator = max(",;\t", key=first.count)
    rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    try:
        for fields in rows:
            if has_blanks:
                fields = [field.strip() for field in fields]
            if any(fields):
                yield rows.line_num, fields
    except csv.Error as error:
        raise ValueError(f"{path}, line {rows.line_num}: {error}.") from error


def _some(names):
    return ", ".join([*names[:3], "..."] if len(names) > 3 else names)
