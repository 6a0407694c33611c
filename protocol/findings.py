"""What is wrong with a data set: one sentence per place, with file, line and remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import UserError
from protocol.language import tr


class DataError(UserError, ValueError):
    """Data that cannot be learned from; the message names the file, the line and the remedy."""


HARMLESS = {"encoding", "line-endings", "backslashes", "image-folder"}  # kinds that are read as they are meant


@dataclass(frozen=True)
class Finding:
    """One remark about the data; `drops` says whether it leaves a row out."""

    file: Path
    line: int  # in a CSV, counted from 1; 0 where there is none
    kind: str  # one of the names in docs/data.md, such as "missing-file"
    what: str  # a clause
    remedy: str  # a clause
    drops: bool = False

    @property
    def harmless(self) -> bool:
        """Whether nothing has to be mended: it was read as it is meant."""
        return self.kind in HARMLESS

    def __str__(self) -> str:
        place = tr("{file}, line {line}", file=self.file, line=self.line) if self.line else f"{self.file}"
        return tr("{place}: {what}; {remedy}.", place=place, what=self.what, remedy=self.remedy)


def summary(findings: Iterable[Finding], examples: int = 3) -> str:
    """Findings in a few lines: each kind with its number and its first `examples`, the harmless ones last; empty
    without findings.
    """
    findings = sorted(findings, key=lambda finding: finding.harmless)
    lines = []
    for kind, number in Counter(finding.kind for finding in findings).items():
        shown = [str(finding) for finding in findings if finding.kind == kind][:examples]
        rest = [tr("... and {number} more", number=number - len(shown))] if number > len(shown) else []
        lines += [f"{kind}: {number}", *(f"  {text}" for text in shown + rest)]
    return "\n".join(lines)
