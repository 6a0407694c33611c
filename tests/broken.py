"""The broken sample submissions, made from the good ones by changing one line.

python tests/broken.py            the table of what `check` says about them, from their source alone
python tests/broken.py --chain    the same with the chain (minutes)
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import yaml
from conftest import draw

from flyai_local.checks.check import Report, check
from flyai_local.checks.findings import Severity
from flyai_local.contest.competitions import Competition

FOLDER = Path(__file__).parent / "submissions"
GOOD = sorted(path.name for path in (FOLDER / "good").iterdir() if path.is_dir())


@dataclass(frozen=True)
class Broken:
    """One line of broken.yaml."""

    name: str
    base: str
    code: str
    file: str = ""
    old: str = ""
    new: str = ""
    chain: bool = False
    nested: bool = False

    def make(self, folder: Path) -> Path:
        """The submission below `folder`: a project folder, or the zip of one that holds its folder."""
        project = folder / self.name
        shutil.copytree(FOLDER / "good" / self.base, project, ignore=shutil.ignore_patterns("__pycache__"))
        if self.nested:
            with zipfile.ZipFile(folder / f"{self.name}.zip", "w") as archive:
                for file in project.rglob("*"):
                    archive.write(file, file.relative_to(folder))
            return folder / f"{self.name}.zip"
        text = (project / self.file).read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.old!r} stands {text.count(self.old)} times in {self.file}")
        (project / self.file).write_text(text.replace(self.old, self.new), encoding="utf-8")
        return project


BROKEN = [Broken(**entry) for entry in yaml.safe_load((FOLDER / "broken.yaml").read_text(encoding="utf-8"))]


def plain_colours(folder: Path, rows: int = 45, classes: int = 9) -> Competition:
    """A competition without hidden part: pictures of a colour per class, int labels."""
    (folder / "pictures").mkdir(parents=True)
    lines = ["image_path,label"]
    for row in range(rows):
        cv2.imwrite(str(folder / "pictures" / f"{row}.png"), draw(row % classes, row))
        lines.append(f"{row}.png,{row % classes}")
    (folder / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Competition(
        "Colours",
        "image_path",
        "label",
        "accuracy",
        folder / "train.csv",
        folder / "pictures",
        None,
        folder / "none",
        False,
    )


def verdict(name: str, code: str, report: Report, seconds: float) -> str:
    """One row of the table: name, expected code, whether it was named, everything that was found."""
    found = [finding.code.value for finding in report.findings]
    errors = [finding.code.value for finding in report.findings if finding.severity is Severity.ERROR]
    right = code in found if code else not errors
    shown = ", ".join(
        f"**{each.code.value}**" if each.severity is Severity.ERROR else each.code.value for each in report.findings
    )
    return f"| {name} | {code or '(none)'} | {'yes' if right else 'NO'} | {shown} | {seconds:.1f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chain", action="store_true", help="run every submission")
    parser.add_argument("--only", help="part of a name")
    args = parser.parse_args()
    print("| submission | expected | named | found (errors in bold) | seconds |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        colours = plain_colours(Path(folder) / "colours")
        made = [(f"good/{name}", "", FOLDER / "good" / name, False) for name in GOOD]
        made += [(broken.name, broken.code, broken.make(Path(folder)), broken.chain) for broken in BROKEN]
        for name, code, submission, chain in made:
            if args.only and args.only not in name:
                continue
            began = time.monotonic()
            report = check(submission, colours, static=not (args.chain or chain))
            print(verdict(name, code, report, time.monotonic() - began), flush=True)


if __name__ == "__main__":
    main()
