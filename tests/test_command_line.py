"""The command line as a person meets it: help in sections, a typo, a reader that stops, and going on with a run."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.arguments import Parser, whole
from protocol.nearest import nearest
from protocol.strict import ConfigError
from recipe.app import App, name_of, read_app
from recipe.cli import options
from recipe.config import Config
from recipe.flags import ELSEWHERE, SECTIONS, USUAL, default_of, parser
from recipe.runs.same_run import code, versions

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "app.yaml"


def shown(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("program", "typed", "expected"), [
    (["main.py"], "main.py --batch", {"--batch-size", "--batch-norm"}),
    (["-m", "recipe"], "recipe rep", {"report"}),
    (["-m", "recipe"], "recipe sweep --rep", {"--report-only"}),
    (["-m", "flyai_local"], "flyai_local bo", {"board"}),
    (["-m", "flyai_local"], "flyai_local board --comp", {"--competition"}),
])  # fmt: skip
def test_the_shell_completes_what_is_typed(tmp_path, program, typed, expected):
    """As the shell asks: no words on the command line, the line in the environment, the answers at descriptor 8."""
    line = {"COMP_LINE": typed, "COMP_POINT": str(len(typed)), "_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n"}
    words = " ".join(shlex.quote(word) for word in [sys.executable, *program])
    command = f"exec 8>{shlex.quote(str(tmp_path / 'found'))} 9>/dev/null; {words}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env={**os.environ, **line}, capture_output=True, text=True, check=False
    )
    found = {word.strip() for word in (tmp_path / "found").read_text("utf-8").split("\n") if word.strip()}
    assert found == expected, done.stderr
    source = ROOT / (program[-1] if program[0] != "-m" else f"{program[1]}/__main__.py")
    assert "PYTHON_ARGCOMPLETE_OK" in source.read_text("utf-8")[:1024]  # else the shell does not even ask


def test_help_shows_what_is_asked_for_most_and_names_the_rest():
    made = parser()
    usual, everything = made.help_of(None), made.help_of("all")
    assert len(usual) < len(everything) / 2
    assert all(f"--{name.replace('_', '-')} VALUE" in usual for name in USUAL)
    assert "--probe-c VALUE" not in usual and "probe-c" in usual
    sections = [made.help_of(title) for title, _ in SECTIONS.values()]
    for name in Config.model_fields:
        flag = f"--{name.replace('_', '-')} "
        assert sum(flag in section for section in sections) == 1 and flag in everything


def test_help_gives_the_defaults_of_the_profiles():
    app = App.model_validate(
        {"competition": {"id": "x"}, "recipe": {"seed": 3}, "profiles": {"a": {"lr": 0.5}, "b": {"seed": 3}}}
    )
    assert default_of("lr", app) == f"a: 0.5; b: {Config().lr}"
    assert default_of("seed", app) == "3" and default_of("folds", None) == str(Config().folds)
    size = read_app(APP).profiles["cpu"]["image_size"]
    assert f"cpu: {size}]" in " ".join(shown("main.py", "--help").stdout.split())


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (["main.py", "--bach-size", "3"], "there is no option --bach-size. Did you mean --batch-size?"),
        (["main.py", "--help", "netwrok"], "no section 'netwrok'. Did you mean 'network'?"),
        (
            ["-m", "recipe", "tune", "run", "--tempratures"],
            "there is no option --tempratures. Did you mean --temperature?",
        ),
        (["-m", "flyai_local", "train", "--competitoin", "x"], "Did you mean --competition?"),
        (["main.py", "--leraning-rate", "1"], "there is no option --leraning-rate. Did you mean --lr?"),
        (["main.py", "--loss", "focal", "--gamma", "2"], 'Write --augment "gamma()" or --loss "focal(gamma=...)"'),
        (["main.py", "--cutout=0.2"], 'there is no option --cutout. Write --augment "cutout()"'),
        (["main.py", "--zork", "1"], "there is no option --zork.\n"),
    ],
    ids=[
        "main",
        "section",
        "recipe",
        "platform",
        "elsewhere",
        "a setting of a component",
        "a component",
        "nothing near",
    ],
)
def test_a_typo_gets_the_nearest_option_and_no_page(program, said):
    done = shown(*program)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) <= 2


def test_what_other_programs_call_a_setting_leads_to_one():
    known = {name for action in parser()._actions for name in action.option_strings}
    assert set(ELSEWHERE.values()) <= known and not set(ELSEWHERE) & known


@pytest.mark.parametrize("wanted", ["lr", "batch_size", "e", "folds-csv"])
def test_one_option_can_be_asked_for(wanted):
    shown = parser().help_of(wanted)
    assert len(shown.splitlines()) <= 4 and f"-{wanted.replace('_', '-')}" in shown


def test_a_reader_that_has_seen_enough_ends_nothing_badly():
    words = f"{sys.executable} -m recipe names | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == ""


def test_the_version_is_the_packages():
    assert "0.1.0" in shown("main.py", "--version").stdout and "0.1.0" in shown("-m", "recipe", "--version").stdout


@pytest.fixture
def begun(tmp_path) -> Path:
    """A run folder that was begun on another competition, with settings of its own."""
    settings = Config(epochs=7, batch_size=9, lr=0.123).model_dump()
    entry = {"id": "Birds", "columns": {"image": "图片", "label": "类别"}, "metric": "macro_f1"}
    about = {"config": settings, "competition": entry, "fingerprint": "f", "source": ""}
    about |= {"code": code(), "versions": versions()}
    (tmp_path / "run.json").write_text(json.dumps(about | {"classes": [], "run": "1"}), encoding="utf-8")
    return tmp_path


def test_a_bare_resume_goes_on_with_what_lies_there(begun):
    asked = options(APP, ["--resume", "--output", str(begun)])
    assert asked.app.competition.id == "Birds" and asked.app.competition.columns.image == "图片"
    assert asked.app.competition.metric == "macro_f1"
    assert (asked.config.epochs, asked.config.batch_size, asked.config.lr) == (7, 9, 0.123)
    assert options(APP, ["--resume"], begun).config == asked.config  # MODEL_PATH


@pytest.mark.parametrize("words", [[], ["--competition", "Cats"]])
def test_a_run_from_before_runs_named_their_competition_goes_on_with_its_settings_in_the_one_named(begun, words):
    about = json.loads((begun / "run.json").read_text(encoding="utf-8"))
    del about["competition"]
    for later in ("fixed_depthwise", "least_lr_scale"):  # settings that came after it take their defaults
        del about["config"][later]
    (begun / "run.json").write_text(json.dumps(about), encoding="utf-8")
    asked = options(APP, ["--resume", "--output", str(begun), *words])
    assert asked.app.competition.id == (words[1] if words else read_app(APP).competition.id)
    assert (asked.config.epochs, asked.config.batch_size, asked.config.lr) == (7, 9, 0.123)
    assert asked.config.fixed_depthwise == Config().fixed_depthwise


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--batch-size", "8"], r"batch_size: 9 \(now 8\)"),
        (["--competition", "Digits"], r"of the competition 'Birds'.*now 'Digits'"),
        (["--label-column", "x"], r"columns: .*类别.*now .*label 'x'"),
        (["--lr", "0.5"], r"lr: 0.123 \(now 0.5\).*--resume-anyway"),
    ],
    ids=["a setting", "a competition", "a column", "a setting that may change"],
)
def test_what_is_named_anew_is_compared_before_anything_is_drawn(begun, words, said):
    with pytest.raises(ConfigError, match=said):
        options(APP, ["--resume", "--output", str(begun), *words])


def test_the_same_named_again_and_the_machine_are_no_change(begun):
    words = ["--resume", "--output", str(begun), "-b", "9", "--competition", "Birds", "--workers", "3"]
    assert options(APP, words).config.workers == 3


def test_nothing_to_go_on_with_is_said_at_once(tmp_path):
    with pytest.raises(ConfigError, match="holds no run to go on with"):
        options(APP, ["--resume", "--output", str(tmp_path)])
    (tmp_path / "run.json").write_text('{"config": 3}')
    with pytest.raises(ConfigError, match="is damaged"):
        options(APP, ["--resume", "--output", str(tmp_path)])


def test_another_competition_is_not_given_the_columns_of_this_one(tmp_path):
    """What app.yaml says of columns and metric belongs to the competition that it names."""
    file = tmp_path / "app.yaml"
    file.write_text("competition: {id: A, columns: {image: a}, metric: macro_f1}\nprofiles: {p: {}}\n")
    assert options(file, ["--profile", "p"]).app.competition.columns.image == "a"
    other = options(file, ["--profile", "p", "--competition", "B"]).app.competition
    assert other.columns.image == "image_path" and other.metric == "accuracy" and not other.columns.model_fields_set


def test_a_parser_without_sections_shows_everything():
    made = Parser(prog="x")
    made.add_argument("--one", help="first")
    assert vars(made.parse_args([])) == {"one": None}  # help leaves nothing in the result
    assert "--one" in made.format_help() and "more settings" not in made.format_help()


@pytest.mark.parametrize("text", ["0", "-1", "1.0", "1e3", "", " 1", "nan", "\u0663", "9" * 30, "2147483648"])
def test_a_count_that_counts_nothing_is_wrong_usage(text: str) -> None:
    """`--limit -1` left the last picture out and said nothing; a run number of 30 digits ended in a trace."""
    parser = Parser()
    parser.add_argument("--limit", type=whole())
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args([f"--limit={text}"])
    assert whole()("1") == 1 and whole(0)("0") == 0 and whole()("2147483647") == 2**31 - 1


@pytest.mark.parametrize("words", [
    ("-m", "recipe", "predict", "pictures", "--out", "x.csv", "--limit", "-1"),
    ("-m", "recipe", "audit", "--image-size", "0"),
    ("-m", "recipe", "sweep", "x.yaml", "--workers", "0"),
    ("-m", "flyai_local", "log", "9" * 30),
    ("-m", "flyai_local", "board", "--detail", "9" * 30),
])  # fmt: skip
def test_counts_are_refused_by_the_commands(words):
    done = shown(*words)
    assert (done.returncode, done.stdout) == (2, "") and "give a whole number from" in done.stderr


def test_pictures_of_ones_own_are_called_as_their_folder_or_table(tmp_path):
    for place in ("花卉/train.csv", "v1.2/train.csv", "v1.2/labels.csv"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch()
    assert name_of(tmp_path / "花卉" / "train.csv") == "花卉" == name_of(tmp_path / "花卉")
    assert name_of(tmp_path / "v1.2" / "train.csv") == "v1.2" == name_of(tmp_path / "v1.2")
    assert name_of(tmp_path / "v1.2" / "labels.csv") == "labels" and name_of(Path("/train.csv")) == "train"


def test_a_name_is_found_in_whatever_case_and_a_command_by_its_letters():
    assert nearest("AdamW", ["adam", "adamw"]) == " Did you mean 'adamw'?"
    assert "Did you mean 'report'?" in shown("-m", "recipe", "reprot").stderr
    assert "Did you mean" not in shown("-m", "recipe", "zork").stderr
