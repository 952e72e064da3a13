"""Fig 5.1: the networks in words."""

from collections.abc import Sequence
from typing import Any

from phash_jax.model import NORM_LAYERS
from phash_jax.report.collect import Run


def section(shown: Sequence[Run]) -> str:
    """Fig 5.1: the layers of the networks, each kind once."""
    kinds: dict[str, list[str]] = {}
    for run in shown:
        if run.config:
            kinds.setdefault(_layers(run.config), []).append(run.label)
    if not kinds:
        return ""
    named = len(kinds) > 1
    lines = [
        "The network (Fig 5.1)" + (f" of {', '.join(labels)}" if named else "") + f": {layers}"
        for layers, labels in kinds.items()
    ]
    if any(run.config.get("published", "none") != "none" for run in shown):
        lines.append("The study draws two conv layers, but its text says three")
    return "".join(f"{line}.\n\n" for line in lines)


def _layers(config: dict[str, Any]) -> str:
    side, features = config["model.kernel_size"], config["model.conv_features"]
    layers = []
    for layer in range(config["model.conv_layers"]):
        norms = "".join(
            f", {kind} norm"
            for kind in ("batch", "group")
            if NORM_LAYERS.get(config[f"model.{kind}_norm"], lambda layer: False)(layer)
        )
        layers.append(
            f"conv {side}x{side}x{features}{norms}, {config['model.activation']}, max-pool 2"
        )
    dropped = f"dropout {config['model.dropout']:g}, " if config["model.dropout"] else ""
    layers += [f"{dropped}dense {size}" for size in config["model.dense_features"]]
    outputs = config["model.num_outputs"]
    return "; ".join(layers) + "; " + (f"{outputs} outputs" if outputs else "one output per class")
