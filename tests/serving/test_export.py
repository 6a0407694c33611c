"""Exported networks: equal or refused, and an answer without torch."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_predict import picture, train_folder
from torch import nn

import recipe.serving.backends
import recipe.serving.runtimes
from protocol.strict import ConfigError
from recipe.__main__ import main
from recipe.config import Config
from recipe.models.classifier import build
from recipe.pictures.preprocessing import Preprocessing
from recipe.runs.checkpoint import save_checkpoint
from recipe.runs.description import read_description
from recipe.runs.ensemble import Answering, Weighted, write_answering
from recipe.serving.backends import openvino as backend_openvino
from recipe.serving.equality import PICTURES, UnequalError, prove, reference_pictures
from recipe.serving.export import Exportee, _proof, export_fold, export_run, folds_of
from recipe.serving.exported import FILES, UnusableError, read_exported
from recipe.serving.parallel import Layout, Spread
from recipe.serving.predict import Ensemble
from recipe.serving.torch import in_half, model_networks
from recipe.system.machine import cores
from recipe.system.runtime import Runtime

ROOT = Path(__file__).resolve().parents[2]
BY_FORMAT = [("onnx", "openvino"), ("onnx", "onnxruntime"), ("openvino", "openvino"), ("torchscript", "torchscript")]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two folds in every format; tests that change it copy it."""
    folder = tmp_path_factory.mktemp("exported")
    train_folder(folder)
    write_answering(folder, Answering(views="identity(), hflip()"))
    for fmt in FILES:
        export_run(folder, fmt)
    return folder


@pytest.fixture
def run(exported: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    import shutil

    return Path(shutil.copytree(exported, tmp_path / "run"))


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [picture(tmp_path / f"{n}.png", n) for n in range(9)]


@pytest.mark.parametrize(("fmt", "runtime"), BY_FORMAT)
def test_every_runtime_answers_as_torch_does(run, paths, fmt, runtime):
    for fold in run.glob("fold*"):
        for other in FILES:
            for name in FILES[other] if other != fmt else ():
                (fold / name).unlink()
        content = json.loads((fold / "export.json").read_text(encoding="utf-8"))
        (fold / "export.json").write_text(
            json.dumps(content | {"files": {fmt: content["files"][fmt]}}), encoding="utf-8"
        )
    ensemble, torch_ensemble = Ensemble(run, runtime=runtime), Ensemble(run, runtime="torch")
    assert ensemble.how.startswith({"torchscript": "torch "}.get(runtime, runtime)) and ensemble.how.endswith(fmt)
    assert torch_ensemble.how.startswith("torch, cpu")
    probs, expected = ensemble.probs(paths), torch_ensemble.probs(paths)
    assert np.allclose(probs, expected, atol=1e-4)
    assert np.array_equal(probs.argmax(1), expected.argmax(1))
    assert np.allclose(ensemble.probs(paths[-1:]), expected[-1:], atol=1e-4)  # another batch


def test_auto_takes_openvino_first_and_without_an_export_torch(run, tmp_path, caplog):
    assert Ensemble(run).how.startswith("openvino")
    train_folder(tmp_path / "plain")
    with caplog.at_level(logging.WARNING):
        assert Ensemble(tmp_path / "plain").how.startswith("torch, cpu")
    assert not caplog.text


def absent(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """As if these packages were not installed."""
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


def test_a_runtime_that_is_absent_gives_way_and_it_is_said(run, monkeypatch, caplog):
    absent(monkeypatch, "openvino")
    with caplog.at_level(logging.INFO):
        assert Ensemble(run).how.startswith("onnxruntime")
    assert "openvino does not answer: its package is not installed" in caplog.text
    absent(monkeypatch, "onnxruntime")
    assert Ensemble(run).how.endswith("torchscript")
    with pytest.raises(
        ConfigError, match=r"runtime 'openvino' cannot answer: its package is not installed .*pip install \.\[fast\]"
    ):
        Ensemble(run, runtime="openvino")


def test_a_runtime_in_ensemble_json_gives_way_with_a_warning(run, monkeypatch, caplog):
    write_answering(run, Answering(runtime="onnxruntime"))
    assert Ensemble(run).how.startswith("onnxruntime")
    absent(monkeypatch, "onnxruntime")
    assert Ensemble(run).how.startswith("torch, cpu")
    assert "onnxruntime does not answer" in caplog.text


def test_an_unknown_runtime_is_refused(run):
    with pytest.raises(ConfigError, match=r"unknown runtime 'openvin'\. Did you mean 'openvino'"):
        Ensemble(run, runtime="openvin")
    (run / "ensemble.json").write_text('{"runtime": "onnx"}', encoding="utf-8")
    with pytest.raises(ConfigError, match="runtime"):
        Ensemble(run)


def test_a_stale_export_is_refused(run, paths, caplog):
    """Weights that were trained on after the export."""
    (model, *_) = train_folder(run, folds=1)
    nn.init.zeros_(model.head.classifier.weight)
    save_checkpoint(run / "fold0", model.state_dict(), read_description(run / "fold0"))
    ensemble = Ensemble(run)
    assert ensemble.how.startswith("torch, cpu")
    assert "fold0 is of other weights or another input size (stale); export it again" in caplog.text
    assert np.allclose(ensemble.probs(paths), Ensemble(run, runtime="torch").probs(paths))


def test_another_input_size_makes_an_export_stale(run, caplog):
    write_answering(run, Answering(test_size=40))
    assert Ensemble(run).how.startswith("torch, cpu")
    assert "stale" in caplog.text
    export_run(run, "onnx")
    assert Ensemble(run).how.startswith("openvino")


@pytest.mark.parametrize("name", ["model.onnx", "model.xml", "model.bin", "model.pt"])
def test_a_changed_file_is_refused(run, name, caplog):
    path = run / "fold1" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for runtime in ("openvino", "onnxruntime", "torchscript"):
        fmts = {"openvino": "openvino", "onnxruntime": "onnx", "torchscript": "torchscript"}
        if name in FILES[fmts[runtime]]:
            with pytest.raises(ConfigError, match=rf"fold1/{name} is not as it was exported"):
                Ensemble(run, runtime=runtime)


def test_a_missing_file_is_refused(run):
    (run / "fold0" / "model.onnx").unlink()
    with pytest.raises(ConfigError, match=r"fold0/model\.onnx is not as it was exported"):
        Ensemble(run, runtime="onnxruntime")


@pytest.mark.parametrize(
    "spoil", [lambda c: c | {"extra": 1}, lambda c: c | {"format": 2}, lambda c: {"format": 1}, lambda c: []]
)
def test_a_broken_export_json_is_refused(run, spoil, caplog):
    path = run / "fold0" / "export.json"
    path.write_text(json.dumps(spoil(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
    assert Ensemble(run).how.startswith("torch, cpu")
    assert "fold0/export.json cannot be used" in caplog.text


def test_answers_that_differ_are_refused(run, caplog):
    """The export of another network under the right names and hashes."""
    for fold in run.glob("fold*"):
        path = fold / "export.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        content["probs"] = [[row[0] + 2e-4, row[1] - 2e-4, *row[2:]] for row in content["probs"]]
        path.write_text(json.dumps(content), encoding="utf-8")
    assert Ensemble(run).how.startswith("torch, cpu")
    assert (
        "answers otherwise than fold0: a probability differs by 2.0e-04, and at most 1e-04 is accepted" in caplog.text
    )


def test_a_runtime_that_was_not_proven_at_the_export_sees_every_reference_picture(run, monkeypatch):
    seen: list[int] = []

    def counted(size: int, count: int) -> np.ndarray:
        seen.append(count)
        return reference_pictures(size, count)

    monkeypatch.setattr(recipe.serving.runtimes, "reference_pictures", counted)
    Ensemble(run, runtime="onnxruntime")
    for fold in run.glob("fold*"):
        content = json.loads((fold / "export.json").read_text(encoding="utf-8"))
        (fold / "export.json").write_text(json.dumps(content | {"proven": {}}), encoding="utf-8")
    Ensemble(run, runtime="onnxruntime")
    assert seen == [2, PICTURES]


def test_an_export_that_stands_is_not_written_again(run):
    before = (run / "fold0" / "model.onnx").stat().st_mtime_ns
    fold = folds_of(run)[0]
    assert export_fold(fold, "onnx").already
    assert (run / "fold0" / "model.onnx").stat().st_mtime_ns == before
    (run / "fold0" / "model.onnx").write_bytes(b"")
    assert not export_fold(fold, "onnx").already
    assert set(read_exported(run / "fold0").files) == set(FILES)


def test_an_export_that_no_runtime_can_reproduce_is_not_kept(tmp_path, monkeypatch):
    train_folder(tmp_path, folds=1)
    monkeypatch.setattr(
        recipe.serving.backends.backend_of("onnxruntime"),
        "load",
        lambda *_: lambda crops: np.full((len(crops), 3), 1 / 3),
    )
    absent(monkeypatch, "openvino")
    with pytest.raises(UnusableError, match=r"is not exported to onnx: onnxruntime.*a probability differs"):
        export_run(tmp_path, "onnx")
    assert sorted(path.name for path in (tmp_path / "fold0").iterdir()) == ["fold.json", "model.safetensors"]


def test_one_runtime_is_refused_and_the_other_proven(run, monkeypatch):
    monkeypatch.setattr(
        recipe.serving.backends.backend_of("onnxruntime"),
        "load",
        lambda *_: lambda crops: np.full((len(crops), 3), np.nan),
    )
    expected = read_exported(run / "fold0").expected
    outcome = _proof(Exportee(run / "fold0", "model.safetensors", 0), "onnx", reference_pictures(32), expected)
    assert [how.split()[0] for how in outcome.proven] == ["openvino"]
    assert [how.split()[0] for how in outcome.refused] == ["onnxruntime"]


class Counting(nn.Module):
    """What tracing does not follow: the number of pictures as a number, which the export keeps as it was traced
    with.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3)) * int(images.shape[0])


def test_a_network_that_tracing_does_not_follow_is_found_out(tmp_path, monkeypatch):
    train_folder(tmp_path, folds=1)
    description = read_description(tmp_path / "fold0")
    monkeypatch.setattr("recipe.serving.export.load_checkpoint", lambda *_, **__: (Counting().eval(), description))
    with pytest.raises(UnusableError, match=r"is not exported to onnx: .*a probability differs"):
        export_run(tmp_path, "onnx")


def test_members_are_exported_too_and_answer_together(tmp_path, paths):
    train_folder(tmp_path, folds=1)
    train_folder(tmp_path / "members" / "b", folds=2)
    write_answering(
        tmp_path,
        Answering(members=(Weighted(run=".", weight=0.25), Weighted(run="members/b", weight=0.75)), temperature=1.5),
    )
    assert main(["export", str(tmp_path), "--format", "onnx"]) == 0
    assert len(list(tmp_path.rglob("model.onnx"))) == 3
    ensemble = Ensemble(tmp_path)
    assert ensemble.how.startswith("openvino") and "torch" not in ensemble.how
    assert np.allclose(ensemble.probs(paths), Ensemble(tmp_path, runtime="torch").probs(paths), atol=1e-4)


def test_the_command_says_what_it_did(tmp_path, capsys):
    train_folder(tmp_path)
    assert main(["export", str(tmp_path), "--format", "onnx"]) == 0
    assert main(["export", str(tmp_path), "--format", "onnx"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("fold1  model.onnx  ") == 2 and printed.count("was there and stands") == 2
    assert "openvino" in printed and "onnxruntime" in printed
    assert main(["export", str(tmp_path / "nothing")]) == 1
    with pytest.raises(SystemExit) as ended:
        main(["export", str(tmp_path), "--format", "onxx"])
    assert ended.value.code == 2


def test_an_exported_run_answers_without_torch(run, paths):
    """In a fresh process, with everything that training needs out of reach."""
    blocked = (
        "torch",
        "torchvision",
        "timm",
        "albumentations",
        "pandas",
        "sklearn",
        "matplotlib",
        "scipy",
        "safetensors",
    )
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r}))\n"
        "from prediction import Predictor\n"
        f"p = Predictor({str(run)!r}, runtime=sys.argv[1])\n"
        f"print(p.predict({str(paths[0])!r}), p.ensemble.how)\n"
    )
    label = Ensemble(run, runtime="torch").answers(Ensemble(run, runtime="torch").probs(paths[:1]))[0].label
    for runtime in ("openvino", "onnxruntime"):
        done = subprocess.run(
            [sys.executable, "-c", code, runtime], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.split()[:2] == [str(label), runtime]


def test_torchscript_answers_without_timm(run, paths):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torchvision', 'timm', 'albumentations', 'pandas', "
        "'sklearn', 'safetensors')))\n"
        f"from recipe.serving.predict import Ensemble; print(Ensemble({str(run)!r}, "
        f"runtime='torchscript').probs([{str(paths[0])!r}]).argmax())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) == Ensemble(run, runtime="torch").probs(paths[:1]).argmax()


# Proof


def test_reference_pictures_are_the_same_everywhere():
    """Their sum is stated, so that a change of them, or a machine that computes others, is noticed."""
    pictures = reference_pictures(224)
    assert pictures.shape == (PICTURES, 224, 224, 3) and pictures.dtype == np.uint8
    assert int(pictures.astype(np.int64).sum()) == REFERENCE_SUM
    assert np.array_equal(reference_pictures(224, 2), pictures[:2])
    assert all(picture.std() > 40 for picture in pictures)


REFERENCE_SUM = 157442520


@pytest.mark.parametrize(
    ("probs", "reason"),
    [
        ([[0.5, 0.5 - 2e-4]], "differs by 1.9e-04"),
        ([[np.nan, 0.5]], "differs by nan"),
        ([[0.50004, 0.49996]], None),
        ([[0.49998, 0.50002]], "another class"),
        ([[0.5, 0.5, 0.0]], "3 probabilities per picture instead of 2"),
    ],
)
def test_what_is_equal(probs, reason):
    expected = np.array([[0.50001, 0.49999]], np.float32)
    if reason is None:
        assert prove(np.array(probs, np.float32), expected) == pytest.approx(3e-5, rel=0.1)
        return
    with pytest.raises(UnequalError, match=reason):
        prove(np.array(probs, np.float32), expected)


# Half precision, on the CPU: what the probe decides, not how fast a GPU is


def test_half_precision_is_taken_where_it_answers_alike():
    torch.manual_seed(0)
    model = build(Config(backbone="test_efficientnet", pretrained=False, image_size=32), 3).eval()
    sizes = Preprocessing(32, 1.0, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    runtime = Runtime(torch.device("cpu"))
    nn.init.normal_(model.head.classifier.weight, std=2.0)
    half = in_half(model, sizes, runtime)
    assert half is not model and next(half.parameters()).dtype is torch.float16
    (probs,) = model_networks([half], sizes, runtime)(reference_pictures(32))
    assert probs.dtype == np.float32 and np.allclose(probs.sum(1), 1, atol=1e-3)


def test_half_precision_that_overflows_is_refused(caplog):
    class Large(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.full((3, 3), 3e4))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return (images.mean((2, 3)) @ self.weight) * 1e3

    model = Large()
    assert in_half(model, Preprocessing(32, 1.0, (0.5,) * 3, (0.25,) * 3), Runtime(torch.device("cpu"))) is model
    assert "half precision is refused" in caplog.text


# Folds and views over the cores


@pytest.mark.parametrize(("folds", "count", "size"), [(1, 1, 8), (5, 8, 224), (3, 7, 100), (2, 33, 16), (1, 40, 500)])
def test_spread_keeps_folds_and_pictures_in_order(folds, count, size):
    crops = np.zeros((count, size, size, 3), np.uint8)
    crops[:, 0, 0, 0] = np.arange(count)

    def network(fold: int):
        return lambda piece: np.stack([np.full(len(piece), fold), piece[:, 0, 0, 0]], axis=1).astype(np.float32)

    found = Spread([network(fold) for fold in range(folds)], Layout(3, 1))(crops)
    assert found.shape == (folds, count, 2)
    assert np.array_equal(found[..., 0], np.repeat(np.arange(folds), count).reshape(folds, count))
    assert np.array_equal(found[..., 1], np.tile(np.arange(count), (folds, 1)))


@pytest.mark.parametrize("passes", [1, 2, 3, 40])
def test_a_layout_uses_no_more_than_the_cores(passes):
    layout = Layout.of(passes)
    assert 1 <= layout.workers <= passes and layout.workers * layout.threads <= cores()
    assert Layout.of(1) == Layout(1, cores())


def test_a_runtime_that_fails_is_refused(run, monkeypatch):
    def load(files, layout):
        def network(crops):
            raise RuntimeError("no such operator")

        return network

    monkeypatch.setattr(recipe.serving.backends.backend_of("onnxruntime"), "load", load)
    with pytest.raises(ConfigError, match="fails on the reference pictures: no such operator"):
        Ensemble(run, runtime="onnxruntime")


def test_the_first_inferences_of_openvino_take_turns(monkeypatch, tmp_path):
    """Its bindings hang where two threads enter their first inference at once (a deadlock within them, met by the suite
    itself).
    """
    first, most, both = [], [], threading.Barrier(2, timeout=20)

    class Request:
        calls = 0

        def infer(self, inputs):
            self.calls += 1
            if self.calls == 1:
                first.append(self)
                time.sleep(0.05)
                most.append(len(first))
                first.remove(self)
            else:
                both.wait()  # later ones do run at once
            return [np.zeros((len(inputs[0]), 3), np.float32)]

    compiled = SimpleNamespace(create_infer_request=Request)
    core = SimpleNamespace(read_model=lambda file: file, compile_model=lambda *about: compiled)
    monkeypatch.setitem(sys.modules, "openvino", SimpleNamespace(Core=lambda: core))
    network = backend_openvino.load([tmp_path / "model.onnx"], Layout(2, 1))

    def twice(number: int) -> None:
        for _ in range(2):
            network(np.zeros((1, 8, 8, 3), np.uint8))

    threads = [threading.Thread(target=twice, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1] and not both.broken


def test_a_runtime_is_added_by_its_module_alone(tmp_path, monkeypatch):
    (tmp_path / "newcomer.py").write_text('RANK = 0\nFORMATS = ("onnx",)\nSPREADS_ITSELF = False\n', encoding="utf-8")
    code = (
        "import sys, recipe.serving.backends as b; b.__path__.append(sys.argv[1]); "
        "from recipe.serving.runtimes import EXPORTED, Wish; Wish('newcomer'); print(*EXPORTED)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["newcomer", "openvino", "onnxruntime", "torchscript"]


SEVERAL_CORES = """
import os, signal, sys, threading
from pathlib import Path
import numpy as np
import openvino
from openvino import opset13
from recipe.serving.backends.openvino import load
from recipe.serving.parallel import Layout

pictures = opset13.parameter([2, 3])
openvino.save_model(openvino.Model([opset13.relu(pictures)], [pictures]), Path(sys.argv[1]) / "model.xml")
networks = [load([Path(sys.argv[1]) / "model.xml"], Layout(1, 1)) for _ in range(3)]
assert [network(np.ones((2, 3), np.float32)).sum() for network in networks] == [6, 6, 6]
del networks[0]
away = threading.Thread(target=networks.clear)
away.start()
away.join()
heard = []
signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
os.kill(os.getpid(), signal.SIGTERM)
print(heard == [signal.SIGTERM])
"""


def test_networks_that_are_let_go_in_any_order_and_thread_leave_signals_alone(tmp_path):
    """OpenVINO's cores lay a stack for signals under the thread: the next signal would end the process."""
    words = [sys.executable, "-c", SEVERAL_CORES, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
