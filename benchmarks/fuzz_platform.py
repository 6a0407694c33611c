"""What benchmarks/fuzz.py throws at the local platform: archives, cards, whole submissions, and columns of labels."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from benchmarks import fuzz_targets
from benchmarks.fuzz_targets import ROOT, Target, each

COLUMNS = ("image_path", "label")
PART = b"\n=== "  # begins the line that names the next file of a submission
NAMES = ("main.py", "prediction.py", "app.yaml", "app.json", "requirements.txt", "model.py", "processor.py")


class Archive(Target):
    """`unpack`: what lies around the folder stays as it is, and what was unpacked can be removed."""

    name = "archive"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        from flyai_local.box import folders
        from flyai_local.submission import unpack

        self.unpack, self.folders, self.expected = unpack, folders, (unpack.ArchiveError,)

    def read(self, data: bytes) -> None:
        around = self.folder / "around"
        around.mkdir(exist_ok=True)
        archive = self.write("submission.zip", data)
        try:
            self.unpack.unpack(archive, around / "project", max_mb=4, max_files=50)
        finally:
            self.folders.removed(around / "project")
            left = [path.name for path in around.iterdir()]
        if left:
            raise AssertionError(f"outside of the folder: {left}")

    def made(self) -> dict[str, bytes]:
        files = {"main.py": b"print(1)\n" * 20, "a/b/model.bin": bytes(range(256)) * 8, "牛.txt": b"x", "empty/": b""}
        found = {}
        for how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            stream = io.BytesIO()
            with zipfile.ZipFile(stream, "w", how) as opened:
                for name, content in files.items():
                    opened.writestr(name, content)
                opened.comment = b"comment"
            found[f"zip-{how}"] = stream.getvalue()
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as opened, opened.open("main.py", "w", force_zip64=True) as entry:
            entry.write(b"pass\n")
        return found | {"zip-64": stream.getvalue()}


class Submission(Target):
    """Everything that looks at a folder before anything of it runs: its kind, its ids, its packages, what to pack."""

    name = "submission"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        from flyai_local.errors import UserError
        from flyai_local.run import requirements
        from flyai_local.submission import pack, submission, unpack

        self.submission, self.requirements, self.pack = submission, requirements, pack
        self.expected = (unpack.ArchiveError, UserError)

    def read(self, data: bytes) -> None:
        project = self.folder / "project"
        project.mkdir(exist_ok=True)
        for name in NAMES:
            (project / name).unlink(missing_ok=True)
        for part in data.split(PART):
            name, _, content = part.partition(b"\n")
            if name.decode("utf-8", "replace") in NAMES:
                (project / name.decode()).write_bytes(content)
        readers = (
            lambda: self.submission.read(project).table("Own", ("image_path", "label")),
            lambda: self.submission.ids(project),
            lambda: list(self.requirements.lines(project / "requirements.txt")),
            lambda: self.pack.pack(project, self.folder / "packed.zip", self.pack.select(project)),
        )
        each(readers, self.expected)

    def made(self) -> dict[str, bytes]:
        new = {name: (ROOT / name).read_bytes() for name in ("main.py", "prediction.py", "app.yaml")}
        new["requirements.txt"] = b"torch==1.8\nnumpy>=1.2 # comment\n-r other.txt\nflyai\n"
        old = {
            "main.py": b"from flyai.dataset import Dataset\ndataset = Dataset(epochs=1, batch=2)\n",
            "model.py": b"from flyai.model.base import Base\nclass Model(Base):\n    pass\n",
            "processor.py": b"class Processor:\n    def input_x(self, image_path):\n        return image_path\n",
            "app.yaml": b"data:\n  id: X\nmodel:\n  processor: processor.Processor\n  input:\n    columns:\n"
            b"      - name: image_path\n  output:\n    columns:\n      - name: label\n",
        }
        app = b'{"data_id": 5, "data": {"source": [{"id": "A"}]}, "model": {"input": {"columns": [{"name": "n"}]}}}'
        listed = {"new": new, "old": old, "json": new | {"app.json": app}}
        return {
            key: b"".join(PART + name.encode() + b"\n" + content for name, content in files.items())
            for key, files in listed.items()
        }


class Card(Target):
    """Every card: a registered competition's, the one beside placed data, app.yaml and the columns in it."""

    name = "card"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        from flyai_local import errors
        from flyai_local.contest import competitions
        from flyai_local.submission import appcard, columns
        from protocol import card

        self.competitions, self.card, self.appcard, self.columns = competitions, card, appcard, columns
        self.refused, self.expected = ValueError, (errors.UserError,)

    def read(self, data: bytes) -> None:
        self.write(self.competitions.CARD, data)
        self.write(self.card.FILE, data)
        self.write("app.yaml", data)
        readers = (
            lambda: self.competitions._read_card(self.folder),
            self._placed,
            lambda: self.columns.asked(self.appcard.parse(self.appcard.read_text(self.folder / "app.yaml"))),
        )
        each(readers, self.expected)

    def _placed(self) -> None:
        try:
            self.card.read(self.folder)
        except ValueError as error:  # its readers turn the text into their own error
            if not str(error).startswith(str(self.folder)):
                raise RuntimeError("an error without the file's name") from error

    def made(self) -> dict[str, bytes]:
        from flyai_local.contest.competitions import Competition, write_card

        own = Competition("Own", *COLUMNS, "accuracy", self.folder / "t.csv", self.folder, None, self.folder, False)
        write_card(own, self.folder)
        self.card.write(self.folder, ("image_path", "label"), "accuracy")
        files = [self.folder / self.competitions.CARD, self.folder / self.card.FILE, ROOT / "app.yaml"]
        return {file.name: file.read_bytes() for file in files}


class Labels(Target):
    """`protocol.labels` over a column, a cell a line: one kind in any order, and every answer in its type is right."""

    name = "labels"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        from flyai_local.evaluator import described_answer
        from flyai_local.run import answers, score
        from protocol import csv_file, labels, task

        self.labels, self.task, self.csv, self.answers, self.score = labels, task, csv_file, answers, score
        self.described = described_answer

    def read(self, data: bytes) -> None:
        cells = data.decode("utf-8", "replace").split("\n")[:50]
        kind = self.labels.kind_of(cells)
        if kind != self.labels.kind_of(reversed(cells)) or kind != self.labels.kind_of(cells * 2):
            raise AssertionError("the kind depends on order or number of the cells")
        values = self.labels.values_of(cells, kind)
        self.labels.similar(self.folder / "t.csv", [value for value in dict.fromkeys(values) if value is not None])
        self.labels.read_as_missing(self.folder / "t.csv", [value for value in values if value is not None])
        self.task.other_task(self.folder / "t.csv", cells)
        shown = [(cell, value) for cell, value in zip(cells, values, strict=True) if value is not None]
        if shown:
            self.perfect(shown)

    def perfect(self, shown: list[tuple[str, object]]) -> None:
        """Property: answers in the labels' own words, over the pipe, score 100; and submission.csv reads back."""
        labels = [value for _, value in shown]
        again = self.labels.kind_of_values(labels)
        for cell, value in shown:
            if len(str(value)) < 9000 and self.labels.value_of(str(value), again) != value:
                raise AssertionError(f"{cell!r} is {value!r} and comes back otherwise from a table of answers")
        told = [self.answers.parse(self.described({"label": value})) for value in labels]
        if any(isinstance(answer.value, self.answers.Other) for answer in told):
            return  # a text beyond what an answer may hold
        found = self.score.score("T", [str(at) for at in range(len(labels))], labels, told, "macro_f1", labels)
        if found.total != 100.0 or found.correct != len(labels):
            raise AssertionError(f"the perfect submission scores {found.total}, {found.correct} of {len(labels)}")

    def made(self) -> dict[str, bytes]:
        columns = {
            "ints": "0\n1\n007\n-1\n+2",
            "floats": "0.5\n1.0\n1e3\ninf\n.5\n-0.0",
            "bools": "True\nFALSE\nNA",
            "long": "9223372036854775807\n18446744073709551615\n18446744073709551616",
            "words": "cat\n Cat\nNone\nca\u0301t\n牛肝菌\n１\n0x10\n1_000\n٣",
        }
        return {name: text.encode() for name, text in columns.items()}


TARGETS = fuzz_targets.TARGETS | {target.name: target for target in (Archive, Submission, Card, Labels)}
