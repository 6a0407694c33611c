"""Which calls write a file and which read one, and where: torch.save, np.load, open, Path.write_bytes, ..."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from flyai_local.checks.project import Project, Source
from flyai_local.checks.values import UNKNOWN, path_of

__all__ = ["Access", "loads", "saves"]

# Position of the path, or of the stream, by full name of the function; the keyword is any of KEYWORDS.
WRITERS = {
    "torch.save": 1,
    "torch.jit.save": 1,
    "numpy.save": 0,
    "numpy.savez": 0,
    "numpy.savez_compressed": 0,
    "numpy.savetxt": 0,
    "pickle.dump": 1,
    "joblib.dump": 1,
    "dill.dump": 1,
    "json.dump": 1,
    "safetensors.torch.save_file": 1,
    "paddle.save": 1,
    "shutil.copy": 1,
    "shutil.copyfile": 1,
    "shutil.move": 1,
    "os.rename": 1,
    "cv2.imwrite": 0,
}
WRITING_METHODS = {
    "save": 0,
    "save_weights": 0,
    "save_model": 0,
    "save_params": 0,
    "save_pretrained": 0,
    "export_model": 0,
    "to_csv": 0,
}
WRITING_METHODS |= {"dump": 1, "tofile": 0, "write_image": 0, "save_checkpoint": 0}
READERS = {
    "torch.load": 0,
    "torch.jit.load": 0,
    "numpy.load": 0,
    "numpy.loadtxt": 0,
    "joblib.load": 0,
    "safetensors.torch.load_file": 0,
    "paddle.load": 0,
    "keras.models.load_model": 0,
    "tensorflow.keras.models.load_model": 0,
}
READING_METHODS = {"load_weights": 0, "load_params": 0}
KEYWORDS = ("f", "file", "path", "filepath", "fname", "filename")
ENDINGS = {"numpy.save": ".npy", "numpy.savez": ".npz", "numpy.savez_compressed": ".npz"}


@dataclass(frozen=True)
class Access:
    """One place where a file is written or read; the path may hold `?` (see `values`)."""

    source: Source
    call: ast.Call
    path: str


def saves(sources: list[Source], project: Project) -> Iterator[Access]:
    """Every place that may write a file."""
    for source in sources:
        for call in source.calls:
            name, method = source.full_name(call.func), _method(call)
            if name == "open" or method == "open":
                if _mode(call, name) & set("wax+"):
                    yield Access(source, call, path_of(_opened(call, name), source, project))
            elif method in ("write_text", "write_bytes") and isinstance(call.func, ast.Attribute):
                yield Access(source, call, path_of(call.func.value, source, project))
            elif name in WRITERS or method in WRITING_METHODS:
                path = _argument(call, WRITERS.get(name, WRITING_METHODS.get(method, 0)), source, project)
                ending = ENDINGS.get(name, "")
                yield Access(source, call, path if path.endswith(ending) else path + ending)


def loads(sources: list[Source], project: Project) -> Iterator[Access]:
    """Every place that reads a file when its source is imported and used; a stream is named where it is opened."""
    for source in sources:
        for call in (call for call in source.calls if not source.as_program(call)):
            name, method = source.full_name(call.func), _method(call)
            if name == "open" and not _mode(call, name) & set("wax+"):
                yield Access(source, call, path_of(_opened(call, name), source, project))
            elif method in ("read_text", "read_bytes") and isinstance(call.func, ast.Attribute):
                yield Access(source, call, path_of(call.func.value, source, project))
            elif name in READERS or method in READING_METHODS:
                yield Access(
                    source, call, _argument(call, READERS.get(name, READING_METHODS.get(method, 0)), source, project)
                )


def _argument(call: ast.Call, position: int, source: Source, project: Project) -> str:
    if position < len(call.args):
        return path_of(call.args[position], source, project)
    named = [keyword.value for keyword in call.keywords if keyword.arg in KEYWORDS]
    return path_of(named[0], source, project) if named else UNKNOWN


def _opened(call: ast.Call, name: str) -> ast.expr:
    """What is opened: the argument of open(), or the object of a path's open()."""
    if name != "open" and isinstance(call.func, ast.Attribute):
        return call.func.value
    return call.args[0] if call.args else call


def _mode(call: ast.Call, name: str) -> set[str]:
    position = 1 if name == "open" else 0
    named = [
        *call.args[position : position + 1],
        *(keyword.value for keyword in call.keywords if keyword.arg == "mode"),
    ]
    mode = named[0] if named else None
    return set(mode.value) if isinstance(mode, ast.Constant) and isinstance(mode.value, str) else set()


def _method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""
