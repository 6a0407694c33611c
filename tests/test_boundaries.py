"""Who may import whom: held by walking the syntax trees, and by looking at what a fresh process has loaded."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RECIPE = sorted((ROOT / "recipe").rglob("*.py"))
LOCAL = sorted((ROOT / "flyai_local").rglob("*.py"))
SITE = sorted((ROOT / "flyai_site").rglob("*.py"))


# Rooms from the ground up: a room imports itself and what stands on the lines before it; rooms of one line do not
# import each other. A room is a folder with all below it that is no room of its own; files at the top are named;
# * is every module.
ROOMS: dict[str, tuple[tuple[str, ...], ...]] = {
    "protocol": (("*",),),
    "recipe": (
        (". plugins proposal registry config app",),
        ("system",),
        ("system.processes",),
        ("pictures",),
        ("data",),
        ("components",),
        ("models",),
        ("runs",),
        ("serving",),
        ("training.step", "training.clock"),
        ("training.contender",),
        ("training",),
        ("data.audit",),
        ("report",),
        ("flags cli prepare train afterwards estimator",),
        ("training.tasks",),
        ("tune",),
        ("sweep",),
        ("commands __main__",),
    ),
    "flyai_local": (
        (". errors states home listing flags inside terminal evaluator", "bootstrap", "sdk"),
        ("contest", "board", "box"),
        ("submission",),
        ("run",),
        ("checks", "remote"),
        ("commands __main__",),
    ),
}
LAZY = re.compile(r"[a-z_]\w*(\.\w+)+(:\w+)?")  # `package.module` or `package.module:name`
MAY_IMPORT = {"protocol": set(), "recipe": {"protocol"}, "flyai_local": {"protocol"}}
CUTS: dict[tuple[str, str], str] = {  # (module, what it imports against the order): why it may
}


def imported(path: Path) -> set[str]:
    """Every module named in an import statement of a file, wherever it stands."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*_package(path, node.level), *([node.module] if node.module else [])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return names


def written(path: Path) -> set[str]:
    """What strings of their own name as `package.module` or `package.module:name`: imports by name, processes."""
    strings = {node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
               if isinstance(node, ast.Constant) and isinstance(node.value, str)}  # fmt: skip
    return {string.partition(":")[0] for string in strings if LAZY.fullmatch(string)}


def _package(path: Path, level: int) -> list[str]:
    """The package that `level` dots mean in a file; nothing for an absolute import."""
    if not level:
        return []
    top = next(place for place in path.parents if not (place / "__init__.py").is_file())
    return list(path.relative_to(top).parts[:-level])


def modules_of(root: Path, package: str) -> dict[str, Path]:
    """Each module below a package, by its dotted name without the package; "." is the package itself."""
    found = {}
    for path in sorted((root / package).rglob("*.py")):
        parts = list(path.relative_to(root / package).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "."] = path
    return found


def room_of(module: str, rooms: dict[str, int]) -> str | None:
    """The room with the longest name that holds a module."""
    holding = [
        room for room in rooms for part in room.split() if part in ("*", module) or module.startswith(f"{part}.")
    ]
    own = [room for room in rooms if module in room.split()]
    return max(own or holding, key=len, default=None)


def faults(root: Path, table: dict[str, tuple[tuple[str, ...], ...]], cuts: dict[tuple[str, str], str]) -> list[str]:
    """What is wrong with the packages below `root` by a table of rooms, one sentence each."""
    found: list[str] = []
    arrows: dict[str, set[str]] = {}
    known = {f"{package}.{name}": (package, name) for package in table for name in modules_of(root, package)}
    for package, lines in table.items():
        place = {room: number for number, line in enumerate(lines) for room in line}
        modules = modules_of(root, package)
        rooms = {name: room_of(name, place) for name in modules}
        found += [f"{package}.{name} stands in no room" for name, room in rooms.items() if room is None]
        found += [f"the room {room!r} of {package} is empty" for room in place if room not in rooms.values()]
        found += [f"{package}.{part} is no module" for room in place if " " in room for part in room.split()
                  if part not in modules]  # fmt: skip
        for name, path in modules.items():
            module = f"{package}.{name}"
            arrows[module] = set()
            for other in sorted(imported(path) | written(path)):
                if other in table and other != package and other not in MAY_IMPORT[package]:
                    found.append(f"{module} imports {other}")
                if other not in known or other == module:
                    continue
                there, inside = known[other]
                arrows[module].add(other)
                if there != package:
                    if there not in MAY_IMPORT[package]:
                        found.append(f"{module} imports {other}")
                    continue
                here, target = rooms[name], rooms[inside]
                if here and target and here != target and place[target] >= place[here] and (module, other) not in cuts:
                    found.append(f"{module} ({here}) imports {other} ({target}), which does not stand before it")
    found += [f"the cut {module} -> {other} is not needed" for module, other in cuts
              if other not in arrows.get(module, ())]  # fmt: skip
    for module, other in cuts:
        arrows.get(module, set()).discard(other)
    return found + [f"{' -> '.join(circle)} is a circle" for circle in circles(arrows)]


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, however long the way round; empty where there are none."""
    sorter = graphlib.TopologicalSorter(arrows)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        return [error.args[1]]
    return []


def test_rooms_import_one_way():
    assert faults(ROOT, ROOMS, CUTS) == []


def test_every_cut_has_a_reason_and_they_are_few():
    assert all(CUTS.values()) and len(CUTS) <= 3


HOUSE = {
    "p/__init__.py": "",
    "p/ground.py": "",
    "p/low/__init__.py": "",
    "p/low/a.py": "import p.ground",
    "p/high/b.py": "import p.low.a",
}
TABLE = {"p": ((". ground",), ("low",), ("high",))}


@pytest.mark.parametrize(
    ("files", "table", "sentence"),
    [
        ({}, TABLE, None),
        ({"p/low/a.py": "def f():\n    from p.high import b"}, TABLE, "p.low.a (low) imports p.high.b (high)"),
        ({"p/low/a.py": "from ..high.b import c"}, TABLE, "p.low.a (low) imports p.high.b (high)"),
        ({"p/low/a.py": "NAMES = {'x': ('p.high.b:LIST', 1)}"}, TABLE, "p.low.a (low) imports p.high.b (high)"),
        ({"p/low/a.py": "import p.low.c", "p/low/c.py": "from p.low import a"}, TABLE, "is a circle"),
        ({"p/new/c.py": ""}, TABLE, "p.new.c stands in no room"),
        ({"p/stray.py": ""}, TABLE, "p.stray stands in no room"),
        ({}, {"p": ((". ground",), ("low",), ("gone",), ("high",))}, "the room 'gone' of p is empty"),
        ({}, {"p": ((". ground lost",), ("low",), ("high",))}, "p.lost is no module"),
        ({}, {"p": ((". ground",), ("low", "high"))}, "p.high.b (high) imports p.low.a (low)"),
        ({"q/__init__.py": "", "p/low/a.py": "from q import x"}, TABLE | {"q": ((".",),)}, "p.low.a imports q"),
    ],
)  # fmt: skip
def test_a_fault_in_the_house_is_named(tmp_path, monkeypatch, files, table, sentence):
    monkeypatch.setitem(MAY_IMPORT, "p", set())
    monkeypatch.setitem(MAY_IMPORT, "q", set())
    for name, text in (HOUSE | files).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = faults(tmp_path, table, {})
    assert (found == []) if sentence is None else any(sentence in fault for fault in found), found


def test_the_house_is_small_enough_to_be_listed():
    top = ROOT / "recipe"
    rooms = [path for path in top.iterdir() if (path / "__init__.py").is_file()]
    assert len(rooms) <= 12
    folders = [top, *(folder for folder in top.rglob("*") if folder.is_dir())]
    sizes = {folder.name: len(list(folder.glob("*.py"))) - 1 for folder in folders}  # without __init__.py
    most = {"recipe": 12}  # five ground files, the flow of five, estimator as its door from Python, and __main__
    assert {name: size for name, size in sizes.items() if size > most.get(name, 13)} == {}


def test_a_module_is_read_in_one_sitting():
    """One idea a file: what grows beyond 300 lines holds a second one."""
    files = [*RECIPE, *LOCAL, *SITE, *sorted((ROOT / "protocol").rglob("*.py"))]
    long = {path.name: lines for path in files if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 300}
    assert long == {}


PLACES = {room: number for number, line in enumerate(ROOMS["recipe"]) for room in line}
GROUND = ROOMS["recipe"][0][0]


def reached(start: str) -> set[str]:
    """All modules of `recipe` that a module imports, directly or through others, at any place."""
    known = {f"recipe.{name}": path for name, path in modules_of(ROOT, "recipe").items()}
    found, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name in found or name not in known:
            continue
        found.add(name)
        waiting += imported(known[name]) | written(known[name])
    return found


@pytest.mark.parametrize("path", RECIPE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_recipe_knows_no_platform(path):
    assert not {name.split(".")[0] for name in imported(path)} & {
        "flyai",
        "flyai_local",
        "flyai_sdk",
        "flyai_site",
        "path",
        "main",
        "prediction",
    }


@pytest.mark.parametrize("path", LOCAL, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_platform_knows_no_recipe(path):
    assert not {name.split(".")[0] for name in imported(path)} & {
        "torch",
        "torchvision",
        "timm",
        "recipe",
        "main",
        "prediction",
    }


@pytest.mark.parametrize("path", SITE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_site_knows_no_recipe(path):
    assert not {name.split(".")[0] for name in imported(path)} & {"torch", "torchvision", "timm", "recipe", "main"}


def test_only_two_commands_start_the_site_and_a_worker_needs_no_django():
    starters = {path.stem for path in LOCAL if any(name.split(".")[0] == "flyai_site" for name in imported(path))}
    assert starters == {"host", "worker"}
    assert not loaded("import flyai_site.worker.loop, flyai_local.commands.submit") & {"django", "waitress", "argon2"}


def test_the_serving_path_reaches_nothing_of_training():
    modules = reached("recipe.serving.predict")
    assert "recipe.runs.checkpoint" in modules
    rooms = {room_of(name.removeprefix("recipe."), PLACES) for name in modules}
    assert rooms <= {GROUND, "system", "pictures", "components", "models", "runs", "serving"}
    assert not modules & {"recipe.runs.summary", "recipe.runs.folder", "recipe.runs.trackers"}
    files = modules_of(ROOT, "recipe")
    outside = {other.split(".")[0] for name in modules for other in imported(files[name.removeprefix("recipe.")])}
    assert not outside & {"matplotlib", "sklearn", "pandas", "albumentations", "scipy"}


def loaded(statement: str) -> set[str]:
    """Top-level modules in a fresh process after a statement."""
    code = f"{statement}\nimport sys; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_prediction_loads_nothing_of_training():
    assert not loaded("import prediction") & {"albumentations", "pandas", "sklearn", "matplotlib", "scipy"}


@pytest.mark.parametrize(
    "module",
    [
        "prediction",
        "recipe.serving.predict",
        "recipe.serving.backends.openvino",
        "recipe.serving.backends.onnxruntime",
        "recipe.serving.exported",
    ],
)
def test_answering_needs_no_torch_until_torch_answers(module):
    assert not loaded(f"import {module}") & {
        "torch",
        "torchvision",
        "timm",
        "safetensors",
        "openvino",
        "onnxruntime",
        "tqdm",
    }


def test_torchscript_needs_nothing_that_builds_networks():
    assert not loaded("import recipe.serving.backends.torchscript, torch") & {"torchvision", "timm", "safetensors"}


@pytest.mark.parametrize(
    "statement",
    [
        "import main",
        "import recipe.__main__",
        "import flyai_local.__main__",
        "import recipe.flags; recipe.flags.parser().format_help()",
    ],
)
def test_help_needs_no_torch(statement):
    assert not loaded(statement) & {"torch", "timm", "pandas", "sklearn", "albumentations", "matplotlib", "cv2"}


def test_importing_main_has_no_side_effect(tmp_path):
    before = sorted(path.name for path in ROOT.iterdir())
    loaded("import main; assert main.Main")
    assert sorted(path.name for path in ROOT.iterdir()) == before


def test_prediction_shows_one_flyai_class_only():
    code = (
        "import prediction, flyai.framework as f\n"
        "found = [n for n in dir(prediction) if isinstance(getattr(prediction, n), type) and "
        "issubclass(getattr(prediction, n), f.FlyAI)]\n"
        "print(*[n for n in found if n != 'FlyAI'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Prediction"]


def test_no_two_files_of_tests_have_one_name():
    """They are imported by their names alone: the second of two is not collected where one process runs both."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
