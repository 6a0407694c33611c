"""Who may import whom: held by walking the syntax trees, and by looking at what a fresh process has loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RECIPE = sorted((ROOT / "recipe").rglob("*.py"))
LOCAL = sorted((ROOT / "flyai_local").rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Every module named in an import statement of a file, wherever it stands."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def reached(start: str) -> set[str]:
    """All modules of `recipe` that a module imports, directly or through others, at any place."""
    found, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        path = ROOT / Path(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if name in found or not path.exists():
            continue
        found.add(name)
        waiting += [other for other in imported(path) if other.startswith("recipe")]
    return found


@pytest.mark.parametrize("path", RECIPE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_recipe_knows_no_platform(path):
    assert not {name.split(".")[0] for name in imported(path)} & {
        "flyai",
        "flyai_local",
        "flyai_sdk",
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


def test_the_serving_path_reaches_nothing_of_training():
    modules = reached("recipe.serving.predict")
    assert "recipe.runs.checkpoint" in modules
    assert not modules & {
        f"recipe.{name}"
        for name in ("engine", "train", "fold", "report", "augment", "data", "folds", "probe", "summary", "loader")
    }
    outside = {name.split(".")[0] for module in modules for name in imported(_file(module))}
    assert not outside & {"matplotlib", "sklearn", "pandas", "albumentations", "scipy"}


def _file(module: str) -> Path:
    path = ROOT / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


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
        "recipe.serving.openvino",
        "recipe.serving.onnxruntime",
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
    assert not loaded("import recipe.serving.torchscript, torch") & {"torchvision", "timm", "safetensors"}


@pytest.mark.parametrize(
    "statement",
    [
        "import main",
        "import recipe.__main__",
        "import flyai_local.__main__",
        "import recipe.cli; recipe.cli.parser().format_help()",
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
