"""All families of components, for `python -m recipe names` and the settings. A new family is one line here."""

from __future__ import annotations

import importlib

from protocol.language import tr
from protocol.strict import ConfigError
from recipe import plugins
from recipe.config import Config
from recipe.registry import Registry, SpecError, parse, parse_many

# family: (module and registry, the setting that names a component of it)
FAMILIES = {
    "backbone": ("recipe.components.cifar:BACKBONES", "backbone"),
    "head": ("recipe.components.heads:HEADS", "head"),
    "augmentation": ("recipe.components.augment.pipeline:AUGMENTATIONS", "augment"),
    "mix": ("recipe.components.mixes:MIXES", "mix"),
    "sampler": ("recipe.components.samplers:SAMPLERS", "sampler"),
    "loss": ("recipe.components.losses:LOSSES", "loss"),
    "reduction": ("recipe.components.losses:REDUCTIONS", "reduction"),
    "optimizer": ("recipe.components.optimizers:OPTIMIZERS", "optimizer"),
    "schedule": ("recipe.components.schedules:SCHEDULES", "schedule"),
    "view": ("recipe.components.views:VIEWS", "views"),
    "metric": ("recipe.components.metrics:METRICS", ""),
}


SEVERAL = ("augment", "views")  # settings that name any number of components


def family(name: str) -> Registry:
    """The registry of a family."""
    module, registry = FAMILIES[name][0].split(":")
    return getattr(importlib.import_module(module), registry)


def check_components(config: Config) -> None:
    """Every component that the settings name, before anything long begins.

    Raises:
        ConfigError: names the setting and what is accepted.
        PluginError: a file with components of your own is absent or cannot be imported.
    """
    plugins.load_asked()
    for name, (_, setting) in FAMILIES.items():
        if not setting or setting == "backbone":  # `models.build` knows timm's names as well
            continue
        try:
            text = getattr(config, setting)
            for spec in parse_many(text) if setting in SEVERAL else [parse(text)]:
                family(name).check(spec)
            if setting == "views" and not text.strip():
                raise SpecError(tr("'' names no view; 'identity()' is the plain picture."))
        except SpecError as error:
            raise ConfigError(f"{setting}: {error}") from None
