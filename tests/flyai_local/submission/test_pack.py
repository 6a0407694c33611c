"""The archive of a submission: what travels, what is refused, and the same bytes for the same content."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from flyai_local.__main__ import main
from flyai_local.errors import UserError
from flyai_local.states import Code
from flyai_local.submission import appcard
from flyai_local.submission.pack import pack, select
from flyai_local.submission.refusals import ABSOLUTE
from flyai_local.submission.submission import read
from flyai_local.submission.unpack import ArchiveError, unpack

FOREIGN = {
    "main.py": "print(1)\n",
    "prediction.py": "from flyai.framework import FlyAI\n",
    "net/model.py": "",
    "words.txt": "a\n",
    "requirements.txt": "numpy\n",
    "data/input/Tiny/train.csv": "image_path,label\n",
    "data/output/model/best.pth": "weights",
    "data/output/model/fold0/model.safetensors": "weights",
    "data/output/model/fold0/last/model.safetensors": "resume",
    "data/output/model/fold0/fold.json": "{}",
    "data/output/model/fold0/snapshots/step00000001.safetensors": "weights",
    "data/output/model/ensemble.json": "{}",
    "data/output/model/fold0/export.json": "{}",
    "data/output/model/fold0/model.onnx": "weights",
    "data/output/model/fold0/model.xml": "graph",
    "data/output/model/fold0/model.bin": "weights",
    "data/output/model/fold0/model.pt": "weights",
    "data/output/model/oof.csv": "a",
    "data/output/model/run.json": "{}",
    "trained/vgg.pth": "weights",
    ".git/config": "x",
    ".env": "x",
    "__pycache__/a.pyc": "x",
    "venv/pyvenv.cfg": "x",
    "venv/lib/a.py": "x",
    "notes.docx": "x",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return folder


def names(folder: Path, **options) -> set[str]:
    return set(select(folder, **options).files)


def kinds(folder: Path, **options) -> list[tuple[str, str, int]]:
    return [(refused.kind, refused.file, refused.line) for refused in select(folder, **options).refused]


def test_code_travels_and_data_models_caches_and_environments_stay(tmp_path):
    found = names(write(tmp_path, FOREIGN))
    assert found == {"main.py", "prediction.py", "net/model.py", "words.txt", "requirements.txt"}


def test_models_travel_when_asked_without_the_state_for_resuming(tmp_path):
    more = names(write(tmp_path, FOREIGN), with_model=True) - names(tmp_path)
    assert more == {
        "data/output/model/best.pth",
        "data/output/model/ensemble.json",
        *(f"data/output/model/fold0/{name}" for name in ("fold.json", "model.safetensors", "export.json")),
        *(f"data/output/model/fold0/model.{ending}" for ending in ("onnx", "xml", "bin", "pt")),
        "data/output/model/run.json",
        "trained/vgg.pth",
    }


def test_everything_that_stays_is_named_with_a_reason(tmp_path):
    left = select(write(tmp_path, FOREIGN)).left_out
    assert set(left) == {"data/", ".git/", ".env", "__pycache__/", "venv/", "notes.docx", "trained/vgg.pth"}
    assert "--with-model" in left["trained/vgg.pth"] and all(left.values())


def test_the_same_content_gives_the_same_bytes(tmp_path):
    first, second = write(tmp_path / "a", FOREIGN), write(tmp_path / "b", dict(reversed(FOREIGN.items())))
    os.utime(second / "main.py", (1, 1))
    (second / "main.py").chmod(0o755)
    packed = [pack(folder, folder.with_suffix(".zip"), select(folder)) for folder in (first, second)]
    assert packed[0].sha256 == packed[1].sha256
    assert first.with_suffix(".zip").read_bytes() == second.with_suffix(".zip").read_bytes()
    (second / "main.py").write_text("print(2)\n", encoding="utf-8")
    assert pack(second, tmp_path / "c.zip", select(second)).sha256 != packed[0].sha256


def test_there_is_no_top_level_folder_and_the_archive_unpacks(tmp_path):
    packed = pack(write(tmp_path / "a", FOREIGN), tmp_path / "s.zip", select(tmp_path / "a"))
    assert packed.size_bytes == (tmp_path / "s.zip").stat().st_size
    unpack(tmp_path / "s.zip", tmp_path / "u")
    assert read(tmp_path / "u").generation == "2.0"
    assert {path.relative_to(tmp_path / "u").as_posix() for path in (tmp_path / "u").rglob("*.*")} == set(packed.names)


def test_an_extra_top_level_folder_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as opened:
        opened.writestr("project/main.py", "")
        opened.writestr("project/prediction.py", "")
    with pytest.raises(ArchiveError, match="'project'") as caught:
        unpack(tmp_path / "s.zip", tmp_path / "u")
    assert caught.value.code is Code.NESTED_FOLDER


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04broken", b"text"])
def test_what_is_no_archive_is_named(tmp_path, content):
    (tmp_path / "s.zip").write_bytes(content)
    with pytest.raises(ArchiveError) as caught:
        unpack(tmp_path / "s.zip", tmp_path / "u")
    assert caught.value.code is Code.BAD_ARCHIVE


# Refusals


@pytest.mark.parametrize(
    "path",
    [
        "/home/wang/data",
        "/root/x.pth",
        "C:\\Users\\wang\\a.pth",
        "D:/data",
        "/Users/li/a",
        "\\\\nas\\share\\a",
        "/mnt/d/x",
    ],
)
@pytest.mark.parametrize("file", ["main.py", "app.json", "app.yaml"])
def test_absolute_paths_are_refused_with_their_line(tmp_path, path, file):
    text = {
        "main.py": f"import os\nROOT = {path!r}\n",
        "app.json": '{\n"root": ' + json.dumps(path).replace("\\\\", "\\") + "}",
        "app.yaml": f"a: 1\nroot: {path}\n",
    }
    write(tmp_path, {"main.py": "", "prediction.py": "", file: text[file]})
    assert kinds(tmp_path) == [("absolute-path", file, 2)]


@pytest.mark.parametrize(
    "line",
    [
        '"""Run it in /home/wang/project."""',
        "# /home/wang/data",
        "a = './data/input'",
        "a = '/dev/null'",
        "a = '/tmp/cache'",
        "a = 'https://www.flyai.com/m/b.pth'",
        "a = 'ratio a/b: C:1'",
        "a = '/'",
        "a = 'usage: /home/x is where'",
    ],
)
def test_harmless_texts_are_not_refused(tmp_path, line):
    assert kinds(write(tmp_path, {"main.py": line + "\n", "prediction.py": ""})) == []


@pytest.mark.parametrize(
    ("files", "refused"),
    [
        ({"main.py": "x = open('/home/wang/data.csv')\n"}, 1),
        (
            {"main.py": "import deep\n", "deep.py": "ROOT = '/home/wang/data'\n\ndef read():\n    return open(ROOT)\n"},
            1,
        ),
        ({"explore.py": "x = open('/home/wang/data.csv')\n"}, 0),  # nobody imports it
        ({"prediction.py": "import flyai_sdk\nif __name__ == '__main__':\n    print(open('/home/wang/a.jpg'))\n"}, 0),
        ({"main.py": "import os\nx = os.listdir(os.getcwd() + '/data/input/A')\n"}, 0),
        ({"main.py": "import os\nx = f'{os.getcwd()}/data/input/A'\n"}, 0),
        ({"main.py": "def read(path='/home/wang/data'):\n    return open(path)\n"}, 0),
        ({"main.py": "import sys\nx = 'D:/data' if sys.platform == 'win32' else 'data'\n"}, 0),
        ({"main.py": "try:\n    x = open('/data/a.csv')\nexcept OSError:\n    x = None\n"}, 0),
        ({"main.py": "import os\nos.environ['NLTK_DATA'] = '/home/wang/nltk'\n"}, 0),
        ({"main.py": "ROOT = '/home/wang/data'\nROOT = 'data'\nprint(ROOT)\n"}, 0),
        ({"config.json": '{"root": "/home/wang/data"}'}, 0),
        ({"notes.yaml": "root: D:/data\n"}, 0),
    ],
)
def test_only_a_path_that_the_code_uses_keeps_it_from_being_packed(tmp_path, capsys, files, refused):
    write(tmp_path / "p", {"main.py": "", "prediction.py": "", **files})
    assert main(["pack", str(tmp_path / "p"), "--to", str(tmp_path / "s.zip")]) == refused
    assert (tmp_path / "s.zip").exists() is not bool(refused)
    assert ("absolute-path" in capsys.readouterr().out) is ("getcwd" not in str(files))


def test_a_card_in_the_encoding_of_chinese_editors_is_read(tmp_path, capsys):
    write(tmp_path / "p", {"main.py": "", "prediction.py": ""})
    (tmp_path / "p" / "app.yaml").write_bytes("name: 蘑菇\ndata: {id: Mushrooms}\n".encode("gbk"))
    assert main(["pack", str(tmp_path / "p"), "--to", str(tmp_path / "s.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "s.zip") as opened:
        assert json.loads(opened.read("app.json"))["name"] == "蘑菇"
    (tmp_path / "p" / "app.yaml").write_bytes(b"\x81\xff\xff")
    assert main(["pack", str(tmp_path / "p"), "--to", str(tmp_path / "s.zip")]) == 1
    assert "app.yaml" in capsys.readouterr().err


SECRETS = {
    "aws": "key = 'AKIA" + "ABCDEFGHIJKLMNOP'",
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "github": "t = 'ghp_" + "a1" * 18 + "'",
    "hugging face": "hf_" + "Ab3" * 12,
    "named": "password = '" + "abcdef0123456789abcdef" + "'",
    "address": "url = 'https://user:" + "s3cretpw@example.org/x'",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_secrets_are_refused_and_never_repeated(tmp_path, kind, capsys):
    write(tmp_path, {"main.py": "x = 1\n" + SECRETS[kind].replace("\n", "") + "\n", "prediction.py": ""})
    assert kinds(tmp_path) == [("secret", "main.py", 2)]
    assert main(["pack", str(tmp_path), "--to", str(tmp_path / "s.zip")]) == 1
    printed = capsys.readouterr().out
    assert "main.py:2" in printed and Code.PACK_REFUSED.value in printed and "must not be uploaded" in printed
    assert SECRETS[kind].split("'")[1 if "'" in SECRETS[kind] else 0] not in printed
    assert not (tmp_path / "s.zip").exists()


@pytest.mark.parametrize(
    "line", ["token = '[CLS]'", "password = ''", "tokenizer = 'bert-base-chinese'", "key = 'model.fc.weight.grad.norm'"]
)
def test_words_that_only_sound_like_secrets_pass(tmp_path, line):
    assert kinds(write(tmp_path, {"main.py": line, "prediction.py": ""})) == []


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_links_out_of_the_tree_are_refused_and_links_inside_become_files(tmp_path):
    project = write(tmp_path / "p", {"main.py": "m", "prediction.py": "", "net/a.py": "a"})
    outside = write(tmp_path / "o", {"secret.txt": "s", "deep/b.py": "b"})
    (project / "inside.py").symlink_to("net/a.py")
    assert kinds(project) == []
    pack(project, tmp_path / "s.zip", select(project))
    with zipfile.ZipFile(tmp_path / "s.zip") as opened:
        assert opened.read("inside.py") == b"a"
    (project / "out.txt").symlink_to(outside / "secret.txt")
    (project / "folder").symlink_to(outside / "deep", target_is_directory=True)
    (project / "gone.py").symlink_to(tmp_path / "nothing")
    (project / "data").symlink_to(outside, target_is_directory=True)  # data never travels, so its link does no harm
    assert {kind[:2] for kind in kinds(project)} == {
        ("link-outside", name) for name in ("out.txt", "folder", "gone.py")
    }
    assert not any("b.py" in name for name in names(project))


def test_files_over_the_limit_are_refused(tmp_path):
    write(tmp_path, {"main.py": "", "prediction.py": "", "words.txt": "x" * 3000})
    assert kinds(tmp_path, max_mb=0.001) == [("file-too-large", "words.txt", 0)]
    assert kinds(tmp_path, max_mb=0.01) == []


@given(st.text(alphabet="/\\:homeroot. ", max_size=12))
def test_a_relative_path_is_never_absolute(text):
    assert not ABSOLUTE.fullmatch("./" + text)


# Cards

YAML = """
competition:
  id: MushroomSketch
  columns: {image: image_path, label: label}
  metric: accuracy
recipe: {loss: ce()}
"""


def test_app_json_is_made_from_app_yaml_which_stays_as_it_is(tmp_path):
    project = write(tmp_path / "p", {"main.py": "", "prediction.py": "", "app.yaml": YAML})
    pack(project, tmp_path / "s.zip", select(project))
    with zipfile.ZipFile(tmp_path / "s.zip") as opened:
        card = json.loads(opened.read("app.json"))
        assert opened.read("app.yaml").decode() == YAML
    assert card["data"]["source"][0]["id"] == card["data_id"] == "MushroomSketch"
    assert card["model"]["input"]["columns"][0]["name"] == "image_path"
    assert card["model"]["output"]["columns"][0]["name"] == "label"
    assert card["project"]["prediction"]["file"] == "prediction.py"


def test_an_app_json_of_ones_own_is_kept(tmp_path):
    project = write(
        tmp_path / "p", {"main.py": "", "prediction.py": "", "app.yaml": YAML, "app.json": '{"data_id": "Mine"}'}
    )
    pack(project, tmp_path / "s.zip", select(project))
    with zipfile.ZipFile(tmp_path / "s.zip") as opened:
        assert json.loads(opened.read("app.json")) == {"data_id": "Mine"}


def test_a_1x_app_yaml_is_understood():
    text = (
        "---\nname: X\ndata: {id: Old, name: Old}\nmodel:\n  processor: P\n  input: {columns: [{name: image, "
        "type: url}]}\n...\n"
    )
    card = json.loads(appcard.app_json(appcard.parse(text)))
    assert (card["name"], card["data_id"], card["model"]["input"]["columns"][0]["name"]) == ("X", "Old", "image")


@pytest.mark.parametrize("text", ["a: [", "- a\n- b\n", "3"])
def test_a_broken_app_yaml_is_said(text):
    with pytest.raises(UserError, match=r"app\.yaml"):
        appcard.parse(text)


# The command


def test_pack_says_size_and_sum(tmp_path, capsys):
    write(tmp_path / "p", FOREIGN)
    assert main(["pack", str(tmp_path / "p"), "--to", str(tmp_path / "s.zip"), "--list"]) == 0
    printed = capsys.readouterr().out
    assert "packed: main.py" in printed and "stays here: data/" in printed
    assert f"{(tmp_path / 's.zip').stat().st_size:,} bytes" in printed
    assert (
        select(tmp_path / "p").files
        and pack(tmp_path / "p", tmp_path / "t.zip", select(tmp_path / "p")).sha256 in printed
    )


def test_pack_needs_a_project(tmp_path, capsys):
    assert main(["pack", str(tmp_path)]) == 1
    assert "main.py" in capsys.readouterr().err


def test_this_project_packs_and_holds_all_that_its_code_imports(tmp_path):
    wanted = (
        "main.py",
        "prediction.py",
        "path.py",
        "app.yaml",
        "requirements.txt",
        "recipe",
        "protocol",
        "flyai_local/sdk",
    )
    for name in wanted:
        source, target = ROOT / name, tmp_path / "p" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    write(
        tmp_path / "p",
        {"tests/test_x.py": "", "README.md": "", "flyai_local/run/runner.py": "", "recipe/notes.txt": ""},
    )
    selection = select(tmp_path / "p")
    assert selection.refused == []
    packed = pack(tmp_path / "p", tmp_path / "s.zip", selection)
    assert {"main.py", "prediction.py", "path.py", "app.yaml", "app.json", "requirements.txt"} <= set(packed.names)
    assert "flyai_local/sdk/flyai/framework.py" in packed.names and "recipe/registry.py" in packed.names
    assert not {"tests/test_x.py", "README.md", "flyai_local/run/runner.py"} & set(packed.names)
    # Templates stand beside the code that fills them: a report made on the platform needs them too.
    folders = [ROOT / name for name in ("recipe", "protocol", "flyai_local/sdk")]
    whole = {path.relative_to(ROOT).as_posix() for folder in folders for path in folder.rglob("*") if path.is_file()}
    left = ("__pycache__", "/.", ".po")  # the source of the catalogue, which lies compiled beside it
    assert {name for name in whole if not any(part in name for part in left)} <= set(packed.names)
