"""The import of torchvision and timm: quick, without the compiler, and without hiding it from whoever needs it."""

from __future__ import annotations

import subprocess
import sys

import torch
from conftest import ROOT

from recipe.system import torchvision_guard


def printed(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.split()


def test_a_network_is_built_without_the_compiler_which_works_all_the_same():
    assert printed("""
import sys
from recipe.system import torchvision_guard
import timm, torch
model = timm.create_model("test_resnet").eval()
print("torch._dynamo" in sys.modules, "torch._dynamo.utils" in sys.modules)
double = torch.compile(lambda x: 2 * x, backend="eager")
print(float(double(torch.ones(()))), sys.modules["torch._dynamo"].__file__ is not None)
""") == ["False", "False", "2.0", "True"]  # fmt: skip


def test_a_package_that_wants_more_of_the_compiler_is_imported_as_ever(tmp_path):
    package = tmp_path / "demanding"
    package.mkdir()
    (package / "__init__.py").write_text("from torch._dynamo import explain\n")
    assert printed(f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
sys.modules["torchvision"], sys.modules["timm"] = None, None
from recipe.system import torchvision_guard
torchvision_guard.PACKAGES = ("demanding",)
print(torchvision_guard.import_without_compiler(), "demanding" in sys.modules, "torch._dynamo" in sys.modules)
import demanding
print(callable(demanding.explain))
""") == ["False", "False", "False", "True"]  # fmt: skip


def test_what_must_not_be_compiled_is_not_and_gives_the_same():
    @torchvision_guard._never_compiled
    def plain(x: torch.Tensor, more: float = 0.0) -> torch.Tensor:
        assert not torch.compiler.is_compiling()
        return x + more

    later = torchvision_guard._never_compiled(None, True, reason="a test")(plain)
    assert plain.__name__ == "plain"
    assert float(torch.compile(lambda x: 2 * later(x, more=1.0), backend="eager")(torch.ones(()))) == 4.0
