"""Settings are parsed strictly; every refusal names the value, what is accepted and the remedy."""

from pathlib import Path

import pytest

from protocol.strict import ConfigError, checked
from recipe.app import App, read_app
from recipe.cli import options
from recipe.config import Config
from recipe.flags import parser

ROOT = Path(__file__).resolve().parent.parent


def write(tmp_path, text):
    path = tmp_path / "app.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no settings"),
        ("competition: {}", "'competition.id' is missing"),
        ("competition: {id: }", "is empty; name the competition's data id"),
        ("competition: {id: A}\nrecipe: {epoch: 3}\nprofiles: {cpu: {}}", "Did you mean 'epochs'"),
        ("competition: {id: A, colums: {}}", "Did you mean 'columns'"),
        ("competition: {id: A, columns: {lable: x}}", "Did you mean 'label'"),
        ("competition: {id: A}\nprofiles: {cpu: {lr: -1}}", "profiles.cpu: lr: -1 is refused"),
        ("competition: {id: A}\nprofiles: {cpu: {precision: fp8}}", "'fp8' is refused"),
        (
            "competition: {id: A}\nprofiles: {cpu: {pretrained: false, head_init: probe}}",
            "probe needs pretrained features",
        ),
        ("competition: [", "is not YAML"),
    ],
)
def test_app_yaml_is_refused_in_a_sentence(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read_app(write(tmp_path, text))


def test_missing_app_yaml(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        read_app(tmp_path / "app.yaml")


def test_precedence(tmp_path):
    app = read_app(
        write(
            tmp_path,
            "competition: {id: A}\nrecipe: {epochs: 2, lr: 0.5, seed: 7}\nprofiles: {cpu: {epochs: 3, lr: 0.25}}",
        )
    )
    config = app.config("cpu", {"lr": 0.125})
    assert (config.seed, config.epochs, config.lr) == (7, 3, 0.125)
    assert config.batch_size == Config().batch_size


def test_unknown_profile(tmp_path):
    app = read_app(write(tmp_path, "competition: {id: A}\nprofiles: {cpu: {}}"))
    with pytest.raises(ConfigError, match="Did you mean 'cpu'"):
        app.config("cpuu", {})


def test_lists_of_components_are_joined():
    assert checked(Config, {"augment": ["hflip()", "vflip()"]}, "here").augment == "hflip(), vflip()"


def test_settings_survive_json():
    config = Config(epochs=3, mix="mixup(alpha=0.4)")
    assert checked(Config, config.model_dump(mode="json"), "here") == config


@pytest.mark.parametrize(
    "argv",
    [["-e", "3", "-b", "8"], ["-e=3", "-b=8"], ["--EPOCHS", "3", "--BATCH", "8"], ["--epochs=3", "--batch-size=8"]],
)
def test_the_platform_s_forms_of_epochs_and_batch(argv):
    asked = options(ROOT / "app.yaml", [*argv, "--profile", "cpu"])
    assert (asked.config.epochs, asked.config.batch_size) == (3, 8)


def test_every_setting_is_a_flag_with_help():
    text = parser().help_of("all")
    for name, field in Config.model_fields.items():
        assert f"--{name.replace('_', '-')}" in text
        assert field.description


@pytest.mark.parametrize(
    ("argv", "message"),
    [(["-b", "0"], "batch_size: '0' is refused"), (["--pretrained", "maybe"], "'maybe' is refused")],
)
def test_bad_flags(argv, message):
    with pytest.raises(ConfigError, match=message):
        options(ROOT / "app.yaml", argv)


def test_unknown_flags_end_with_2():
    with pytest.raises(SystemExit) as ended:
        options(ROOT / "app.yaml", ["--epoch", "3"])
    assert ended.value.code == 2


def test_competition_override():
    assert options(ROOT / "app.yaml", ["--competition", "Digits", "--profile", "cpu"]).app.competition.id == "Digits"


def test_the_project_s_own_app_yaml_is_valid():
    app = read_app(ROOT / "app.yaml")
    assert isinstance(app, App)
    assert app.config("full", {}).backbone == "tf_efficientnet_b6.ns_jft_in1k"
    assert app.config("full", {}).image_size == 528


def test_linear_scaling():
    assert Config(lr=0.1, lr_batch=256, batch_size=64).scaled_lr == pytest.approx(0.025)
    assert Config(lr=0.1, batch_size=64).scaled_lr == 0.1 == Config(lr=0.1, lr_batch=64, batch_size=64).scaled_lr
