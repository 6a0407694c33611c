"""Which language is spoken, that every sentence has its Chinese, and that no translation can end a run."""

from __future__ import annotations

import argparse
import ast
import gettext
import json
import os
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import catalogue
import pytest
from conftest import ROOT

import recipe.__main__ as recipe_commands
from flyai_local import __main__ as platform
from flyai_local.submission.pack import select
from protocol import language
from protocol.language import LanguageError, choose, counted, tr, translated
from protocol.strict import ConfigError, checked
from recipe import flags
from recipe.config import Config
from recipe.system import console


@pytest.mark.parametrize(
    ("environment", "spoken"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "C"}, "en"),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_CN", "LANG": "en_US"}, "zh"),
        ({"FLYAI_LANG": "zh", "LC_ALL": "en_US.UTF-8"}, "zh"),
        ({"FLYAI_LANG": "EN-us", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"FLYAI_LANG": "zh-Hans"}, "zh"),
        ({"FLYAI_LANG": "klingon", "LANG": "zh_CN.UTF-8"}, "en"),  # refused where a command line is read
    ],
)
def test_the_variable_comes_before_the_locale_and_the_locale_before_english(environment, spoken) -> None:
    assert language.language(environment) == spoken


@pytest.mark.parametrize(
    ("words", "rest", "spoken"),
    [
        (["--lang", "zh", "audit"], ["audit"], "zh"),
        (["audit", "--csv", "a.csv", "--lang=zh"], ["audit", "--csv", "a.csv"], "zh"),
        (["audit", "--", "--lang", "zh"], ["audit", "--", "--lang", "zh"], "en"),
        (["--lang", "zh", "--lang", "en"], [], "en"),
    ],
)
def test_the_flag_stands_anywhere_and_is_passed_on_to_children(monkeypatch, words, rest, spoken) -> None:
    monkeypatch.setenv("FLYAI_LANG", "en")
    assert choose(words) == rest and os.environ["FLYAI_LANG"] == spoken


@pytest.mark.parametrize("words", [["--lang", "fr"], ["--lang="], ["--lang"]])
def test_another_language_is_refused_in_a_sentence(monkeypatch, words) -> None:
    monkeypatch.setenv("FLYAI_LANG", "en")
    with pytest.raises(LanguageError, match="en, zh"):
        choose(words)


@pytest.mark.parametrize("command", [["main.py"], ["-m", "recipe", "runs"], ["-m", "flyai_local", "competitions"]])
def test_every_program_refuses_an_unknown_variable(command) -> None:
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env={**os.environ, "FLYAI_LANG": "xx"}, capture_output=True, text=True
    )
    assert done.returncode == 1 and "FLYAI_LANG names the language 'xx'" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_sentence_of_the_code_is_in_the_catalogue_and_translated() -> None:
    kept = catalogue.kept()
    said = {message.id: message for message in catalogue.said() if message.id}
    untold = [id for id in said if id not in kept or not kept.get(_first(id)).string]
    assert untold == []
    assert [message.id for message in kept if message.fuzzy and message.id] == []
    assert [message.id for message in kept if message.id and message.id not in said] == []  # what nothing says


def test_what_is_read_at_run_time_is_what_was_translated() -> None:
    assert catalogue.MO.read_bytes() == catalogue.compiled(catalogue.kept())


def test_every_translation_has_the_places_of_its_sentence() -> None:
    wrong = []
    for message in catalogue.kept():
        if not message.id:
            continue
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        many = message.id[-1] if isinstance(message.id, tuple) else message.id
        wrong += [(many, text) for text in texts if _places(text) != _places(many)]
    assert wrong == []


def test_a_translation_without_its_places_costs_the_translation_alone(monkeypatch) -> None:
    class Broken(gettext.NullTranslations):
        def gettext(self, message: str) -> str:
            return {"{count} rows": "{anzahl} 行", "{name} is gone": "{name", "{size:.1f} MB": "{size:d} MB"}[message]

        def ngettext(self, one: str, many: str, number: int) -> str:
            return "{} 行"

    monkeypatch.setattr(language, "catalogue", lambda wanted: Broken())
    assert tr("{count} rows", count=3) == "3 rows"
    assert tr("{name} is gone", name="a.jpg") == "a.jpg is gone"
    assert tr("{size:.1f} MB", size=2.0) == "2.0 MB"
    assert counted("{count} row", "{count} rows", 1) == "1 row"


def test_without_its_file_the_catalogue_is_english(monkeypatch, tmp_path) -> None:
    for content in (None, b"", b"\xde\x12\x04\x95torn"):
        if content is not None:
            (tmp_path / "zh" / "LC_MESSAGES").mkdir(parents=True, exist_ok=True)
            (tmp_path / "zh" / "LC_MESSAGES" / "flyai.mo").write_bytes(content)
        monkeypatch.setattr(language, "FOLDER", tmp_path)
        monkeypatch.setattr(gettext, "_translations", {})
        language.catalogue.cache_clear()
        assert translated("usage: ", "zh") == "usage: "
    monkeypatch.undo()
    language.catalogue.cache_clear()
    assert translated("usage: ", "zh") == "用法："


def test_braces_of_a_name_are_no_places() -> None:
    assert tr("{file} is longer than {most:,} bytes.", file="{most}{x}.csv", most=1000) == (
        "{most}{x}.csv is longer than 1,000 bytes."
    )
    assert tr("{not_a_place}") == "{not_a_place}" and tr("") == ""


def _first(id: str | tuple[str, str]) -> str:
    return id[0] if isinstance(id, tuple) else id


def _places(text: str) -> list[str]:
    """The names of places, and argparse's own."""
    named = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None} if "{" in text else set()
    return sorted(named | {word for word in ("%(prog)s", "%(default)s", "%(default)g", "%%") if word in text})


# What a person reads and is English in every language, by file, with the reason.
ENGLISH = {
    "recipe/commands/docs.py": "writes the English documents",
    "recipe/system/threads.py": "a message between threads",
    "flyai_local/evaluator.py": "runs in the box, beside the submission and without this project",
    "flyai_local/run/examine.py": "prints the platform's own `Current Pred:`",
    "flyai_local/sdk": "the platform's own SDK speaks English; what a run of main.py prints of it is translated",
}
SAYING = {"say", "tell", "detail", "print", "Finding", "Bar", "UnreadablePicture", "Unreadable", "ArgumentTypeError"}
WORDS = {"help", "description", "epilog"}
ASKED = {"tr", "later", "translated", "counted", "in_chart"}


def _told_plainly(path: Path, errors: set[str]) -> list[str]:
    """Sentences of a file that go to a person and that no translation is asked for."""
    found = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        given = call.args if _name(call) in SAYING | errors else []
        given = [*given, *(word.value for word in call.keywords if word.arg in WORDS and _name(call) != "Field")]
        found += [f"{path}:{node.lineno}: {ast.unparse(node)}" for node in given for node in _plain(node)]
    return found


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _plain(node: ast.AST) -> Iterator[ast.AST]:
    """The sentences below a node, but for what is given to a call: a function's own words are seen there."""
    if isinstance(node, ast.Call):
        return
    text = ""
    if isinstance(node, ast.JoinedStr):
        text = "".join(part.value if isinstance(part, ast.Constant) else "_" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    if re.search(r"[a-z]{2,}", text) and " " in text.strip():
        yield node
    elif not isinstance(node, ast.JoinedStr):
        for below in ast.iter_child_nodes(node):
            yield from _plain(below)


def _user_errors(paths: list[Path]) -> set[str]:
    """The classes below UserError, by name."""
    bases = {
        node.name: {getattr(base, "id", getattr(base, "attr", "")) for base in node.bases}
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    known = {"UserError"}
    while more := {name for name, above in bases.items() if above & known} - known:
        known |= more
    return known


def test_nothing_is_told_to_a_person_in_english_alone() -> None:
    paths = [path for folder in catalogue.FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    paths += sorted(path for path in ROOT.glob("*.py") if path.name != "setup_check.py")
    errors = _user_errors(paths)
    assert {"ConfigError", "DataError", "DamagedError"} <= errors
    told = [line for path in paths for line in _told_plainly(path, errors)]
    assert [line for line in told if not any(f"{place}" in line.split(":")[0] for place in ENGLISH)] == []


def test_a_sentence_that_nobody_translates_is_found(tmp_path) -> None:
    file = tmp_path / "new.py"
    file.write_text(
        "raise ConfigError(f'{x} is no number; give one')\n"
        "say('done with it' if good else tr('not done'))\n"
        "parser.add_argument('--x', help='what x is')\n"
        "say(tr('all is well'))\nraise ConfigError(why(x))\nlog.debug('not for people')\n"
    )
    assert [line.split(":")[1] for line in _told_plainly(file, {"ConfigError"})] == ["1", "2", "3"]


# In Chinese


CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.mark.parametrize("name", ["main", *recipe_commands.COMMANDS])
def test_every_line_of_help_is_chinese(monkeypatch, name) -> None:
    monkeypatch.setenv("FLYAI_LANG", "zh")
    made = flags.parser() if name == "main" else recipe_commands.command_parser(name)
    helped = [action for action in made._actions if action.help not in (None, argparse.SUPPRESS)]
    assert len(helped) > 1 and [action.dest for action in helped if not CHINESE.search(str(action.help))] == []


@pytest.mark.parametrize("name", sorted(platform.COMMANDS))
def test_every_line_of_the_platform_s_help_is_chinese(monkeypatch, capsys, name) -> None:
    with pytest.raises(SystemExit):
        platform.main(["--lang", "zh", name, "--help"])
    said = capsys.readouterr().out
    described = said.split("\n\n")[1]
    assert CHINESE.search(described) and "show" not in said and "usage" not in said and "exit code" not in said


def test_a_table_in_gbk_is_registered_and_answered_in_chinese(competition, tmp_path, capsys, monkeypatch) -> None:
    table = tmp_path / "标 注.csv"
    rows = (competition / "train.csv").read_text().replace("image_path,label", "图片路径,类别")
    table.write_bytes(rows.encode("gbk"))
    named = ["--image-column", "图片路径", "--label-column", "类别"]
    assert (
        platform.main(["--lang", "zh", "add", "花卉", "--csv", str(table), "--images", str(competition), *named]) == 0
    )
    said = capsys.readouterr().out.splitlines()
    assert all(CHINESE.search(line) for line in said if ": 1" not in line) and "3 个类别，36 张训练图片" in said[-2]
    assert platform.main(["add", "花", "--csv", str(table), "--images", str(competition)]) == 1
    assert "没有列" in capsys.readouterr().err


SMALL = str(ROOT / "tests" / "submissions" / "good" / "mushroom_2_0")  # the project itself takes ten times as long


@pytest.mark.parametrize("words", [["competitions", "--json"], ["check", "--static", "--json", "--submission", SMALL]])
def test_what_machines_read_does_not_change(capsys, words) -> None:
    told = []
    for spoken in ("en", "zh"):
        platform.main(["--lang", spoken, *words])
        told.append(capsys.readouterr().out)
    assert told[0] == told[1] and json.loads(told[0])


def test_the_catalogue_travels_with_the_submission() -> None:
    assert catalogue.MO.relative_to(ROOT).as_posix() in select(ROOT).files


def test_arguments_that_are_refused_are_refused_in_chinese(monkeypatch, capsys) -> None:
    monkeypatch.setenv("FLYAI_LANG", "zh")
    made = recipe_commands.command_parser("audit")
    for words, told in (
        (["--csv"], "参数 --csv：需要一个值"),
        (["--folds", "x"], "参数 --folds：不接受 'x'：请给出 2 到 100 之间的整数"),
        (["--csvv", "a"], "没有选项 --csvv。您是不是想写 --csv？"),
    ):
        with pytest.raises(SystemExit):
            made.parse_args(words)
        assert told in capsys.readouterr().err
    with pytest.raises(ConfigError, match="epochs：'x' 不被接受：应是整数"):
        checked(Config, {"epochs": "x"}, "app.yaml")


def test_columns_of_a_table_stand_below_each_other_in_chinese() -> None:
    lines = console.table(("", "accuracy", "轮"), [("第 0 折", "0.5", "起点"), ("mean", "0.25", "12")]).splitlines()
    assert {console.width(line) for line in lines} == {console.width(lines[0])}
