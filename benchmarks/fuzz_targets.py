"""What benchmarks/fuzz.py throws its inputs at: readers, the errors that they name, and files to begin from."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from protocol.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "tests" / "corpus"  # what was found once


class Target:
    """One kind of file: `read` raises nothing but `expected`."""

    name: ClassVar[str]
    expected: tuple[type[Exception], ...] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, data: bytes) -> None:
        """Gives the bytes to every reader of that kind of file."""
        raise NotImplementedError

    def seeds(self) -> dict[str, bytes]:
        """Inputs to begin from, by name, those of tests/corpus among them."""
        return {path.name: path.read_bytes() for path in sorted((CORPUS / self.name).glob("*"))} | self.made()

    def made(self) -> dict[str, bytes]:
        """Whole files."""
        raise NotImplementedError

    def write(self, name: str, data: bytes) -> Path:
        """The bytes as a file."""
        path = self.folder / name
        path.write_bytes(data)
        return path


class Picture(Target):
    """`recipe.pictures.decode.decode` with a limit of four million pixels, so that a thousand inputs take seconds."""

    name = "picture"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(2**22)
        import cv2

        from recipe.pictures import decode
        from recipe.pictures.orientation import exif_orientation

        cv2.setNumThreads(1)
        self.exif_orientation = exif_orientation
        decode.MAX_PIXELS = 2**22
        self.decode, self.expected = decode, (decode.UnreadablePicture,)

    def read(self, data: bytes) -> None:
        self.exif_orientation(data)
        image = self.decode.decode(data)
        if image.dtype.name != "uint8" or image.ndim != 3 or image.shape[2] != 3 or not image.flags.c_contiguous:
            raise AssertionError(f"{image.shape} {image.dtype}")

    def made(self) -> dict[str, bytes]:
        from PIL import Image

        colours = Image.linear_gradient("L").resize((20, 12))
        picture = Image.merge("RGBA", (colours, colours.rotate(180), colours.rotate(90), colours))
        modes = {mode: picture.convert("RGB").convert(mode) for mode in ("RGB", "L", "1", "P", "CMYK")} | {
            "RGBA": picture
        }
        modes["LA"] = Image.merge("LA", (colours, colours))
        found = {}
        for kind, options in (
            ("JPEG", {}),
            ("PNG", {}),
            ("GIF", {}),
            ("WEBP", {}),
            ("TIFF", {}),
            ("BMP", {}),
            ("AVIF", {}),
            ("JPEG2000", {}),
        ):
            for mode, image in modes.items():
                found[f"{kind}-{mode}"] = _saved(image, kind, **options)
        rgb = modes["RGB"]
        found["JPEG-progressive"] = _saved(rgb, "JPEG", progressive=True)
        for compression in ("tiff_lzw", "jpeg", "tiff_adobe_deflate", "packbits", "zstd"):
            found[f"TIFF-{compression}"] = _saved(rgb, "TIFF", compression=compression)
        for kind in ("GIF", "WEBP", "PNG"):
            found[f"{kind}-animated"] = _saved(rgb, kind, save_all=True, append_images=[rgb.rotate(180)])
        exif = Image.Exif()
        exif[0x0112] = 6
        return {name: data for name, data in found.items() if data} | {
            f"{kind}-turned": _saved(rgb, kind, exif=exif.tobytes()) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
        }


def _saved(image, kind: str, **options) -> bytes:
    """The picture in a format; nothing where the format has no such mode."""
    stream = io.BytesIO()
    try:
        image.save(stream, kind, **options)
    except (OSError, ValueError):
        return b""
    return stream.getvalue()


class Csv(Target):
    """`recipe.data.reading.read_csv`, the stand-in's `read_table`, and that both read labels alike."""

    name = "csv"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        from flyai_local import errors
        from flyai_local.contest import tables
        from recipe.data import reading

        self.reading, self.tables, self.expected = reading, tables, (UserError, errors.UserError)

    def read(self, data: bytes) -> None:
        path = self.write("train.csv", data)
        readers = (
            lambda: self.reading.read_csv(path).fingerprint,
            lambda: self.reading.read_csv(path, group_column="label").counts,
            lambda: self.reading.read_csv(path, values=(0, 1)),
            lambda: self.alike(path),
        )
        each(readers, self.expected)

    def alike(self, path: Path) -> None:
        """Property: training and board read every label alike, and a label that is answered is right.

        Raises:
            AssertionError: they do not.
        """
        from flyai_local.evaluator import described_answer
        from flyai_local.run.answers import equal, parse
        from protocol.labels import kind_of, value_of
        from recipe.data.labels import type_labels

        rows = self.tables.read_table(path, "image_path", "label")
        texts = [row.label for row in rows]
        kind = kind_of(texts)
        trained = type_labels(path, [row.line for row in rows], texts)
        for number, text in zip(trained.numbers.tolist(), texts, strict=True):
            label, learned = value_of(text, kind), trained.values[number] if number >= 0 else None
            if label != learned or type(label) is not type(learned):
                raise AssertionError(f"{text!r} is {label!r} to the board and {learned!r} to training")
            if (
                label is not None
                and len(text) < 5000
                and not equal(parse(described_answer({"label": label})).value, label)
            ):
                raise AssertionError(f"the right answer {label!r} is wrong")

    def made(self) -> dict[str, bytes]:
        plain = "image_path,label\nimage/1.jpg,0\n./image/2.jpg,1\n"
        named = "image_path,label\n蘑菇/1.jpg,牛肝菌\n蘑菇/2.jpg,鹅膏\n"
        return {
            "plain": plain.encode(),
            "windows": b"\xef\xbb\xbf" + plain.replace("\n", "\r\n").replace("/", "\\").encode(),
            "utf-16": named.encode("utf-16"),
            "gbk": named.encode("gbk"),
            "semicolons": b'label;image_path;more\n1.0;"a;b.jpg";"x ""y"" z"\nNA;c.jpg;\n1e3;c.jpg;\n',
            "bools": b"image_path\tlabel\na.jpg\tTrue\n\nb.jpg\tFalse\nb.jpg\tFalse\n",
        }


class Yaml(Target):
    """Everything that is YAML: app.yaml here and in the stand-in, and a sweep."""

    name = "yaml"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        import yaml

        from flyai_local import errors
        from flyai_local.submission import appcard
        from recipe import app
        from recipe.sweep import file as sweep_file

        self.app, self.sweep_file, self.appcard, self.yaml = app, sweep_file, appcard, yaml
        self.expected = (UserError, errors.UserError)

    def read(self, data: bytes) -> None:
        path = self.write("app.yaml", data)
        readers = (
            lambda: self.app.read_app(path),
            lambda: self.sweep_file.read_sweep(path),
            lambda: self.appcard.app_json(self.appcard.parse(data.decode("utf-8", "replace"))),
        )
        each(readers, self.expected)

    def made(self) -> dict[str, bytes]:
        files = [ROOT / "app.yaml", *sorted((ROOT / "examples").rglob("*.yaml"))]
        return {path.name: path.read_bytes() for path in files}


class Checkpoint(Target):
    """What lies in a run folder: JSON, weights and states in safetensors; and a state with a forged checksum."""

    name = "checkpoint"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        import torch

        from recipe.runs import checkpoint, description, results, sealed
        from recipe.runs import ensemble as serving
        from recipe.runs import epochs as journal
        from recipe.runs import folder as run_folder
        from recipe.training import state_file

        torch.set_num_threads(1)
        self.torch, self.sealed, self.state_file = torch, sealed, state_file
        self.expected = (UserError,)
        self.model = torch.nn.Linear(2, 3)
        checkpoint.build = lambda *_: self.model
        fold = folder / "fold0"
        fold.mkdir(exist_ok=True)
        self.readers = {
            "fold.json": lambda: description.read_description(fold),
            "ensemble.json": lambda: serving.read_answering(fold),
            "result.json": lambda: results.load_result(fold),
            "log.jsonl": lambda: journal.read_logs(fold / "log.jsonl"),
            "run.json": lambda: run_folder.open_run_folder(folder),
            "model.safetensors": lambda: checkpoint.load_checkpoint(fold),
            "state.safetensors": lambda: state_file.read_state(fold / "state.safetensors"),
            "forged.safetensors": lambda: state_file.read_state(fold / "forged.safetensors"),
        }
        self.whole = self._whole(folder)

    def _whole(self, folder: Path) -> dict[str, bytes]:
        """A file of each kind, as training writes it."""
        from safetensors.torch import save

        from recipe.config import Config
        from recipe.pictures.preprocessing import Preprocessing

        preprocessing = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in vars(Preprocessing(8, 1.0, (0.5,) * 3, (0.5,) * 3)).items()
        }
        fold = {
            "format": 1,
            "config": Config().model_dump(mode="json"),
            "values": [0, 1, "a"],
            "prior": [0.5, 0.3, 0.2],
            "fold": 0,
            "epoch": 1,
        }
        state = {
            "epoch": 1,
            "items": [1, (2.5, None)],
            "tensors": {0: self.torch.arange(4.0), "b": self.torch.ones(2, 2).t()},
        }
        path = self.state_file.write_state(folder / "states", state, 1, 2)
        about = json.dumps(self.sealed.read_about(path)["content"]).encode()
        log = {
            "fold": 0,
            "epoch": 1,
            "lr": 0.1,
            "train_loss": 1.0,
            "valid_loss": 1.0,
            "valid_score": 0.5,
            "average": False,
        }
        return {
            "fold.json": json.dumps(fold | {"score": 0.5, "average": False, "preprocessing": preprocessing}).encode(),
            "ensemble.json": b'{"views": "hflip()", "test_size": 160, "temperature": 1.2, "members": [{"run": ".", '
            b'"weight": 1.0}]}',
            "result.json": b'{"fold": 0, "score": 0.5, "probe_score": null, "epoch": 1, "seconds": 1.0}',
            "log.jsonl": (json.dumps(log | {"pictures_per_second": 1.0, "seconds": 1.0}) + "\n").encode(),
            "run.json": b'{"classes": ["a", "b"], "fingerprint": "0", "source": "train.csv"}',
            "model.safetensors": save(self.model.state_dict()),
            "state.safetensors": path.read_bytes(),
            "forged.safetensors": about,
        }

    def read(self, data: bytes) -> None:
        """The first byte says which file the rest is; the others are whole."""
        name = list(self.readers)[data[0] % len(self.readers)] if data else "fold.json"
        fold = self.folder / "fold0"
        for other in ("fold.json", "model.safetensors"):
            (fold / other).write_bytes(self.whole[other])
        content = data[1:]
        if name == "forged.safetensors":
            try:
                about = json.loads(content)
            except (ValueError, RecursionError):
                return
            self.sealed.write_sealed(
                fold / name, {"00000": self.torch.arange(4.0), "00001": self.torch.ones(2, 2)}, about
            )
        else:
            (self.folder if name == "run.json" else fold).joinpath(name).write_bytes(content)
            if name == "run.json":
                (self.folder / "metrics.json").write_bytes(content)
                (self.folder / "oof.csv").write_bytes(content)
        each([self.readers[name]], self.expected)

    def made(self) -> dict[str, bytes]:
        return {name: bytes([number]) + self.whole[name] for number, name in enumerate(self.readers)}


def each(readers: Iterable, expected: tuple[type[Exception], ...]) -> None:
    """Every reader has its turn, whatever the one before it refused."""
    for reader in readers:
        with contextlib.suppress(*expected):
            reader()


TARGETS = {target.name: target for target in (Picture, Csv, Yaml, Checkpoint)}
