"""Joins a path of a table with the folder of the data."""

from pathlib import Path
from urllib.parse import urlsplit

from flyai.project import project_path, say


def check_download(path, data_path=None, is_print=False):
    """Return where a file named in a table lies: `path` under the folder `data_path`; nothing is downloaded.

    An absolute path stays as it is, an address gives the file of its name, and backslashes (``jpg\\1.jpg``, a table
    from Windows) are turned into slashes where only that finds the file.

    Args:
        path: a path relative to the folder, an absolute path or an address.
        data_path: the folder of the data, data/input of the project unless given.
        is_print: whether to say so when nothing lies there.
    """
    name = str(path)
    if "://" in name:
        name = urlsplit(name).path.rpartition("/")[2]
    folder = Path(data_path) if data_path else project_path("data", "input")
    found = next((place for place in (folder / name, folder / name.replace("\\", "/")) if place.exists()), None)
    if found is None and is_print:
        say(f"{folder / name} is not there")
    return str(found or folder / name)
