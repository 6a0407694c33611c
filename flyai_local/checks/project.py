"""A submission's source as the checks read it: parsed files, who imports whom, and what is reached from where."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from flyai_local.contest.tables import Label
from flyai_local.submission.pack import Selection

__all__ = ["Imported", "Project", "Source", "Target", "dotted", "parsed"]


@dataclass(frozen=True)
class Target:
    """What the submission is checked against: the input columns of the competition and one of its labels."""

    columns: tuple[str, ...] = ("image_path",)
    label: Label | None = None  # None: the label type is not known


@dataclass(frozen=True)
class Imported:
    """One import of a module.

    `names` are the full module names that it may bring, the module itself first; `bound` maps names in the importing
    file to (module, name), with an empty name for the module itself and `*` for everything.
    """

    names: tuple[str, ...]
    bound: dict[str, tuple[str, str]]
    node: ast.stmt | ast.Call
    local: bool  # relative


@dataclass
class Source:
    """One parsed file; `name` is its path in the project, with forward slashes."""

    name: str
    tree: ast.Module

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The parent of every node."""
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node, in no particular order."""
        return list(ast.walk(self.tree))

    @cached_property
    def calls(self) -> list[ast.Call]:
        """Every call, by line."""
        return sorted(
            (node for node in self.nodes if isinstance(node, ast.Call)), key=lambda call: (call.lineno, call.col_offset)
        )

    @cached_property
    def imports(self) -> list[Imported]:
        """Every import statement, wherever it stands."""
        return [each for node in self.nodes for each in self._imported(node)]

    @cached_property
    def bound(self) -> dict[str, tuple[str, str]]:
        """Names that imports bind in this file."""
        return {name: origin for each in self.imports for name, origin in each.bound.items()}

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """The ancestors of a node, the nearest first."""
        while (parent := self.parents.get(node)) is not None:
            yield parent
            node = parent

    def at_import(self, node: ast.AST) -> bool:
        """True when importing the file runs the node: it is in no function, and not behind `__name__ == "__main__"`."""
        return not any(isinstance(each, FUNCTIONS) or _main_guard(each) for each in self.above(node))

    def as_program(self, node: ast.AST) -> bool:
        """True when the node stands behind `if __name__ == "__main__"`."""
        return any(_main_guard(each) for each in self.above(node))

    def function(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The innermost function around a node."""
        return next(
            (each for each in self.above(node) if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))), None
        )

    def owner(self, node: ast.AST) -> ast.ClassDef | None:
        """The innermost class around a node."""
        return next((each for each in self.above(node) if isinstance(each, ast.ClassDef)), None)

    def full_name(self, node: ast.AST) -> str:
        """Dotted name of an expression by this file's imports: `np.load` is `numpy.load`; empty for others."""
        first, _, rest = dotted(node).partition(".")
        module, name = self.bound.get(first, (first, ""))
        return ".".join(part for part in (module, name, rest) if part)

    def _imported(self, node: ast.AST) -> list[Imported]:
        if isinstance(node, ast.Import):
            return [_plain(alias, node) for alias in node.names]
        if isinstance(node, ast.Call):
            return _by_call(node)
        if not isinstance(node, ast.ImportFrom):
            return []
        folder = list(PurePosixPath(self.name).parent.parts)
        base = folder[: len(folder) + 1 - node.level] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        names = tuple(f"{module}.{alias.name}".lstrip(".") for alias in node.names)
        bound = {alias.asname or alias.name: (module, alias.name) for alias in node.names}
        return [Imported((module, *names) if module else names, bound, node, node.level > 0)]


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass
class Project:
    """A submission: the files that would be uploaded, its parsed sources, and its two starting points.

    `unread` names the files that are no Python; what they would have done is not known.
    """

    folder: Path
    selection: Selection
    generation: str
    target: Target
    sources: dict[str, Source] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    @cached_property
    def training(self) -> list[Source]:
        """What `python main.py` can reach."""
        return self._sources(self._reached(["main.py"], program=True))

    @cached_property
    def serving(self) -> list[Source]:
        """What the evaluation can reach."""
        return self._sources(self._reached(self._serving_roots, program=False))

    @cached_property
    def reached(self) -> list[Source]:
        """Both together, without repetition."""
        return list({source.name: source for source in [*self.training, *self.serving]}.values())

    @cached_property
    def touched(self) -> frozenset[str]:
        """Names of the files that training or evaluation can come to, be they Python or not."""
        return frozenset(self._reached(["main.py"], program=True) + self._reached(self._serving_roots, program=False))

    def runs(self, source: Source, node: ast.AST) -> bool:
        """Whether a node of a source may run: a main guard keeps it from running anywhere but in main.py."""
        return source.name in self.touched and (source.name == "main.py" or not source.as_program(node))

    @property
    def _serving_roots(self) -> list[str]:
        return ["model.py", "processor.py"] if self.generation == "1.x" else ["prediction.py"]

    def _sources(self, names: list[str]) -> list[Source]:
        return [self.sources[name] for name in names if name in self.sources]

    @cached_property
    def searches_folders(self) -> bool:
        """True when the code changes sys.path: then modules in any folder count as the project's own."""
        return any(
            dotted(call.func) in ("sys.path.append", "sys.path.insert")
            for each in self.sources.values()
            for call in each.calls
        )

    def module(self, name: str) -> Source | None:
        """The source of a module by its full name."""
        path = name.replace(".", "/")
        return self.sources.get(f"{path}.py") or self.sources.get(f"{path}/__init__.py")

    def own(self, name: str) -> bool:
        """True when a top-level module name is the project's: a file, or a folder with or without __init__.py."""
        tops = (PurePosixPath(each) for each in self.selection.files)
        if any(path.parts[0] == name or str(path) == f"{name}.py" for path in tops):
            return True
        return self.searches_folders and any(
            name in (path.stem, *path.parts) for path in map(PurePosixPath, self.sources)
        )

    def _reached(self, roots: list[str], program: bool) -> list[str]:
        """`roots`, then the files that their imports reach. What the main guard hides runs only in a program."""
        found = [name for name in roots if name in self.selection.files]
        for name in found:  # grows on the way
            source = self.sources.get(name)
            if source is not None:
                run = [
                    each for each in source.imports if (program and name in roots) or not source.as_program(each.node)
                ]
                found += dict.fromkeys(new for each in run for new in self._brought(each) if new not in found)
        return found

    def _brought(self, each: Imported) -> list[str]:
        """Own files that an import runs: the module, what is imported from it, and the packages above."""
        names = {
            ".".join(parts[:end])
            for name in each.names
            for parts in [name.split(".")]
            for end in range(1, len(parts) + 1)
        }
        return list(dict.fromkeys(file for name in sorted(names) for file in self._files(name)))

    def _files(self, module: str) -> list[str]:
        """The files that a module of this name may be; in any folder where the code searches in more than one."""
        path = module.replace(".", "/")
        ends = (f"{path}.py", f"{path}/__init__.py")
        found = [name for name in ends if name in self.selection.files]
        if found or not self.searches_folders:
            return found
        return [name for name in self.selection.files if name.endswith(tuple(f"/{end}" for end in ends))]


def parsed(content: bytes, version: tuple[int, int] | None = None) -> ast.Module:
    """The syntax tree of a source file; warnings about odd escapes in old code are not ours to print.

    `version` (3, 6) takes `async` as a name, as the platform's Python did.

    Raises:
        SyntaxError, ValueError, RecursionError: it is not Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return ast.parse(content.decode(encoding), feature_version=version)  # a comment that is no text counts too


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a chain of names; empty for every other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def _plain(alias: ast.alias, node: ast.Import) -> Imported:
    top = alias.name.split(".")[0]
    bound = {alias.asname: (alias.name, "")} if alias.asname else {top: (top, "")}
    return Imported((alias.name,), bound, node, False)


def _by_call(node: ast.Call) -> list[Imported]:
    """`__import__("net")` and `importlib.import_module("net")`, where the name is written out."""
    called = dotted(node.func) in ("__import__", "importlib.import_module", "import_module")
    name = node.args[0].value if called and node.args and isinstance(node.args[0], ast.Constant) else None
    if not isinstance(name, str) or not name or name.startswith("."):
        return []
    return [Imported((name,), {}, node, False)]


def _main_guard(node: ast.AST) -> bool:
    if not isinstance(node, ast.If) or not isinstance(node.test, ast.Compare):
        return False
    sides = [node.test.left, *node.test.comparators]
    return any(dotted(side) == "__name__" for side in sides) and any(
        isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
    )
