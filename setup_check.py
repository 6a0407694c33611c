"""Whether this machine can hold the environment, said in a sentence before anything is downloaded.

    python3 setup_check.py .venv

It runs under the interpreter that is there, whatever its age: no syntax and no package that an old Python lacks.
"""

import os
import re
import shutil
import sys

# Measured with requirements.txt and requirements-dev.txt on Linux with torch for CPUs; a wheel lies beside what is
# unpacked from it.
ENVIRONMENT_MB = 2200
DOWNLOAD_MB = 800
PROJECT = os.path.dirname(os.path.abspath(__file__))


def required_python(pyproject):
    """(major, minor) of `requires-python` in the text of a pyproject.toml."""
    found = re.search(r'requires-python\s*=\s*">=\s*(\d+)\.(\d+)', pyproject)
    if found is None:
        raise ValueError("pyproject.toml says no requires-python such as >=3.11")
    return int(found.group(1)), int(found.group(2))


def reasons(folder, version=None, free_mb=None, temporary_mb=None, has=None, bits=None):
    """Why an environment in `folder` would fail, a sentence each; none where it should succeed."""
    with open(os.path.join(PROJECT, "pyproject.toml"), "rb") as stream:
        needed = required_python(stream.read().decode("utf-8"))
    version = version or tuple(sys.version_info[:2])
    free_mb = _free_mb(folder) if free_mb is None else free_mb
    temporary_mb = _free_mb(os.environ.get("TMPDIR", "/tmp")) if temporary_mb is None else temporary_mb
    has = has or _has
    found = []
    if version < needed:
        found.append(
            "Python %d.%d or newer is needed, and this is %d.%d: install one and name it, as in "
            "`make demo PYTHON=python%d.%d`." % (needed + version + needed)
        )
    for module in ("venv", "ensurepip"):
        if version >= needed and not has(module):
            found.append(
                "This Python has no %s, which the environment is made with: on Debian and Ubuntu, "
                "`sudo apt install python%d.%d-venv`." % ((module,) + version)
            )
            break
    if (bits or (64 if sys.maxsize > 2**32 else 32)) < 64:
        found.append("This Python has 32 bits, and torch exists for 64 alone: install a 64-bit Python.")
    if free_mb < ENVIRONMENT_MB:
        found.append(
            "The environment takes %.1f GB and the disk of %s has %.1f GB left: make room, or name another place "
            "with `make demo VENV=/place/for/it`." % (ENVIRONMENT_MB / 1000.0, folder, free_mb / 1000.0)
        )
    if temporary_mb < DOWNLOAD_MB:
        found.append(
            "pip downloads about %.1f GB into %s, which has %.1f GB left: make room, or name another folder with "
            "`TMPDIR=/place/for/it`." % (DOWNLOAD_MB / 1000.0, os.environ.get("TMPDIR", "/tmp"), temporary_mb / 1000.0)
        )
    return found


def _has(module):
    try:
        __import__(module)
    except ImportError:
        return False
    return True


def _free_mb(folder):
    """Of the nearest folder above that exists; plenty where the system does not say."""
    folder = os.path.abspath(folder)
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    try:
        return shutil.disk_usage(folder).free / 2**20
    except (AttributeError, OSError):
        return float("inf")


if __name__ == "__main__":
    WHY = reasons(sys.argv[1] if len(sys.argv) > 1 else ".venv")
    for sentence in WHY:
        sys.stderr.write("error: " + sentence + "\n")
    sys.exit(1 if WHY else 0)
