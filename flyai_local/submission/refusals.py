"""What must not be uploaded: absolute paths, secrets, links out of the tree, files over the limit."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flyai_local.submission.reading import regular, small
from protocol.language import later, tr

__all__ = ["MAX_FILE_MB", "Refused", "examine_file", "examine_link"]

MAX_FILE_MB = 512  # local policy: no limit of the platform is public
CARDS = {".yaml", ".yml", ".json", ".toml", ".cfg", ".ini"}
LARGEST_TEXT = 4 * 2**20

# A path below a folder where people keep their own files, a Windows drive, a share. Not /tmp, /dev or /usr/bin.
ABSOLUTE = re.compile(
    r"(?:/(?:home|root|Users|Volumes|mnt|media|data\d*|workspace|content|kaggle|opt|srv|work|export|private)/[^\s\"'<>|]+"
    r"|[A-Za-z]:(?:\\|/(?!/))[^\s\"'<>|]+|\\\\[\w.-]+\\\w[^\s\"'<>|]*)"
)
SECRETS = (
    (later("a private key"), re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")),
    (later("an AWS access key"), re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    (later("an Alibaba Cloud access key"), re.compile(r"\bLTAI[0-9A-Za-z]{12,26}\b")),
    (later("a Google API key"), re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b")),
    (later("a GitHub token"), re.compile(r"\b(?:gh[pousr]_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{40,})\b")),
    (later("a Hugging Face token"), re.compile(r"\bhf_[0-9A-Za-z]{30,}\b")),
    (later("a Slack token"), re.compile(r"\bxox[abprs]-[0-9A-Za-z-]{10,}")),
    (later("a secret API key"), re.compile(r"\bsk-[0-9A-Za-z_-]{32,}\b")),
    (
        later("a password or token"),
        re.compile(
            r"(?i)(?:password|passwd|secret|token|api_?key|access_?key)[\"']?\s*[:=]\s*[\"']"
            r"(?=[^\"']*[0-9])(?=[^\"']*[A-Za-z])[0-9A-Za-z+/_=.-]{20,}[\"']"
        ),
    ),
    (
        later("a password in an address"),
        re.compile(r"\b[a-z][a-z0-9+.-]{0,30}://[^\s/:@\"']{1,200}:[^\s/:@\"']{3,200}@"),
    ),
)


@dataclass(frozen=True)
class Refused:
    """One reason not to pack: what (`absolute-path`, `secret`, `link-outside`, `file-too-large`), where, and why."""

    kind: str
    file: str
    line: int
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: [{self.kind}] {self.text}"


def examine_file(name: str, file: Path, max_mb: float = MAX_FILE_MB) -> Iterator[Refused]:
    """Every reason not to upload `file`, called `name` in the archive. A secret itself is never repeated."""
    if not regular(file.resolve()):
        return  # a pipe, which would be waited for
    size_mb = file.stat().st_size / 2**20
    if size_mb > max_mb:
        yield Refused(
            "file-too-large",
            name,
            0,
            tr(
                "{size_mb:.1f} MB; at most {max_mb:g} MB pass. Leave it out or shrink it",
                size_mb=size_mb,
                max_mb=max_mb,
            ),
        )
    if size_mb * 2**20 > LARGEST_TEXT:
        return
    try:
        text = small(file.resolve(), LARGEST_TEXT).decode("utf-8-sig")
    except UnicodeDecodeError:  # not a text
        return
    for number, line in enumerate(text.splitlines(), start=1):
        for what, pattern in SECRETS:
            if pattern.search(line):
                yield Refused(
                    "secret",
                    name,
                    number,
                    tr("this looks like {what}: remove it, and replace it where it is valid", what=tr(what)),
                )
                break
    for number, path in _absolute_paths(file.suffix, text):
        yield Refused(
            "absolute-path",
            name,
            number,
            tr("{path!r} exists on this machine only: use a path relative to the project root", path=path),
        )


def examine_link(name: str, link: Path, folder: Path) -> Refused | None:
    """A reason to refuse a link: its target lies outside of the folder that is packed."""
    target = link.resolve()
    if not target.exists():
        return Refused("link-outside", name, 0, tr("a link to nothing: remove it"))
    if target.is_relative_to(folder.resolve()):
        return None
    return Refused(
        "link-outside", name, 0, tr("a link to something outside of the project: copy the file into the project")
    )


def _absolute_paths(suffix: str, text: str) -> Iterator[tuple[int, str]]:
    if suffix == ".py":
        found: Iterator[tuple[int, str]] = _constants(text)
    elif suffix in CARDS:
        lines = enumerate(text.splitlines(), start=1)
        found = ((number, word.strip("\"',[]{}")) for number, line in lines for word in line.split("#")[0].split())
    else:
        return
    for number, value in found:
        if ABSOLUTE.fullmatch(value.strip()):
            yield number, value.strip()


def _constants(text: str) -> Iterator[tuple[int, str]]:
    """Line and value of every text constant of a Python file that may begin a path.

    Docstrings and comments are no paths in use; what is added to something (`os.getcwd() + "/data"`) begins none.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the run will name it
        return
    passed_over = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and not isinstance(node.left, ast.Constant):
            passed_over.add(id(node.right))
        elif isinstance(node, ast.JoinedStr):
            passed_over |= {id(part) for part in node.values[1:]}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed_over:
            yield node.lineno, node.value
