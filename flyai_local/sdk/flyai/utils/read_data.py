"""Reads a competition's table."""


def read(path):
    """A CSV file as a pandas table; UTF-8 with or without a byte order mark, else GB18030 (Chinese Excel)."""
    import pandas  # Only here: importing the SDK must not need pandas.

    try:
        return pandas.read_csv(path, encoding="utf-8-sig")
    except UnicodeDecodeError:
        return pandas.read_csv(path, encoding="gb18030")
