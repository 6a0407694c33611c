"""Components of your own: a Python file beside main.py whose decorated functions are losses, heads, metrics and so on.

    plugins: [my_parts.py]        in app.yaml, or --plugin my_parts.py; then --loss "poly1(epsilon=2)"
    --loss "my_parts:poly1(epsilon=2)"                                  without either

The settings of a run name the file, so whatever rebuilds the run (checkpoints, `Predictor`, `lr-find`, a sweep) finds
it again. A run folder never brings code along: only files that lie beside main.py are ever executed, and they are read
when the first component is looked for that the house does not have.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from protocol.errors import UserError
from protocol.language import tr

FOLDER = Path(__file__).resolve().parent.parent  # where main.py lies
HOUSE = {"main", "prediction", "path", "recipe", "protocol", "flyai_local"}

_asked: dict[str, None] = {}  # files by name, in the order in which settings named them
_loaded: dict[str, ModuleType] = {}
_failed: dict[str, str] = {}


class PluginError(UserError, ImportError):
    """A file of components that is absent or cannot be imported; the message says which, where and why."""


def files_in(text: str) -> list[str]:
    """The files that the setting `plugins` names, in order."""
    return [_bare(name) for part in text.split(",") if (name := part.strip())]


def _bare(name: str) -> str:
    """The name of a file beside main.py without the way to it, as a shell completes one: ./my_parts.py."""
    return Path(name).name if Path(name).parent.resolve() == FOLDER else name


def ask(text: str) -> None:
    """Notes the files of a setting `plugins`; nothing is read yet."""
    _asked.update(dict.fromkeys(files_in(text)))


def asked() -> tuple[str, ...]:
    """The files that settings of this process have named."""
    return tuple(_asked)


def load_asked() -> None:
    """Imports what was asked for and is not there yet.

    Raises:
        PluginError: a file is absent, or ends with an error.
    """
    for name in _asked:
        load(name)


def files() -> list[Path]:
    """The files that settings of this process have named or used and that exist, by name."""
    names = {name.removesuffix(".py") for name in _asked} | set(_loaded)
    return [path for name in sorted(names) if (path := FOLDER / f"{name}.py").is_file()]


def load(name: str) -> ModuleType:
    """The module of `my_parts.py` or `my_parts`, imported once; its decorators file its components.

    Raises:
        PluginError: the file is absent, or ends with an error.
    """
    path = place(name)
    if path.stem in _loaded:
        return _loaded[path.stem]
    if path.stem in _failed:
        raise PluginError(_failed[path.stem])
    try:
        _loaded[path.stem] = _imported(path)
    except PluginError:
        raise
    except (Exception, SystemExit) as error:
        sys.modules.pop(path.stem, None)
        _failed[path.stem] = tr(
            "the plugin {name} cannot be imported: {cause}.", name=path.name, cause=_cause(error, path)
        )
        raise PluginError(_failed[path.stem]) from None
    return _loaded[path.stem]


def parts_of(file: str, filed: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """The functions and classes of a plugin: those among `filed` that it brought, and those that are written there.

    Raises:
        PluginError: as `load`.
    """
    module = load(file)
    own = {**vars(module), **filed}
    return {name: part for name, part in own.items()
            if callable(part) and getattr(part, "__module__", None) == module.__name__}  # fmt: skip


def place(name: str) -> Path:
    """The file beside main.py.

    Raises:
        PluginError: it is absent, or a name that cannot be a module of its own.
    """
    stem = _bare(name).removesuffix(".py")
    if not stem.isidentifier() or stem in HOUSE or stem in sys.stdlib_module_names:
        raise PluginError(
            tr(
                "plugins: {name!r} cannot be used: give the bare name of a Python file beside main.py, "
                "such as my_parts.py, that no module of Python or of this project has.",
                name=name,
            )
        )
    path = FOLDER / f"{stem}.py"
    if not path.is_file():
        there = sorted(other.name for other in FOLDER.glob("*.py") if other.stem not in HOUSE)
        raise PluginError(
            tr(
                "the plugin {stem}.py was not found; looked in {folder} (beside main.py), which has "
                "{there}. It must lie there to travel with the submission.",
                stem=stem,
                folder=FOLDER,
                there=", ".join(there) or tr("no other Python file"),
            )
        )
    return path


def _imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    there = sys.modules.get(path.stem)
    if there is not None:
        if getattr(there, "__file__", None) == str(path):
            return there
        raise PluginError(tr("the plugin {name} has the name of an installed module; give it another.", name=path.name))
    assert spec is not None and spec.loader is not None  # a .py file has both
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _cause(error: Exception | SystemExit, path: Path) -> str:
    """`line 3: NameError: ...`, the last line of the file that was being executed."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{f'line {line}: ' if line else ''}{type(error).__name__}: {said}".rstrip(".")
