"""The study's classifier in Flax Linen: n conv layers with max-pooling, dense layers, logits."""

import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
import ml_collections
from jax import lax
from jaxtyping import Array, Float

from phash_jax.checks import at_least, choose, within
from phash_jax.convolution import CONVOLUTIONS
from phash_jax.placement import BATCH

ACTIVATIONS: dict[str, Callable] = {
    "relu": nn.relu,
    "elu": nn.elu,
    "tanh": nn.tanh,
    # By its approximation with tanh. Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016).
    "gelu": nn.gelu,
}

KERNEL_INITS: dict[str, Callable[[float], nn.initializers.Initializer]] = {
    # TensorFlow's truncated_normal: cut at two standard deviations and not rescaled, as JAX's.
    "truncated_normal": lambda stddev: nn.initializers.truncated_normal(stddev),
    "lecun_normal": lambda _: nn.initializers.lecun_normal(),
    "he_normal": lambda _: nn.initializers.he_normal(),
    "glorot_uniform": lambda _: nn.initializers.glorot_uniform(),
    # From 0 to 1: TensorFlow's random_uniform without arguments.
    "uniform": lambda _: nn.initializers.uniform(1.0),
}

COMPUTE_DTYPES: dict[str, jnp.dtype] = {
    "float32": jnp.dtype(jnp.float32),
    "bfloat16": jnp.dtype(jnp.bfloat16),
}

NORM_LAYERS: dict[str, Callable[[int], bool]] = {
    "none": lambda layer: False,
    "first": lambda layer: layer == 0,
    "all": lambda layer: True,
}

_NORM_GROUPS = 8


def max_pool_2(x: Float[Array, "n h w c"]) -> Float[Array, "n h//2 w//2 c"]:
    """Max-pooling, window and stride 2; an odd last row or column is dropped.

    Two pairwise maxima: ``reduce_window`` has a backward pass on CPU 14 times slower than this one.
    """
    n, h, w, c = x.shape
    x = x[:, : h // 2 * 2, : w // 2 * 2]
    # One axis at a time: a reshape of sharded images may split or join no more.
    x = x.reshape(n, h // 2, 2, w // 2 * 2, c).reshape(n, h // 2, 2, w // 2, 2, c)
    x = jnp.maximum(x[:, :, 0], x[:, :, 1])
    return jnp.maximum(x[:, :, :, 0], x[:, :, :, 1])


class ConvNet(nn.Module):
    """Conv layers (convolution, norm where asked, activation, max-pool 2), dense, logits.

    With only the first argument given, it is the network of ``configs/default.py``.

    Attributes:
        num_outputs: size of the logits.
        conv_layers: number of conv layers.
        conv_features: output channels of each conv layer.
        kernel_size: side of the square kernels, pixels.
        dense_features: sizes of the hidden dense layers.
        activation: a key of ``ACTIVATIONS``.
        kernel_init: a key of ``KERNEL_INITS``.
        kernel_stddev: standard deviation of ``truncated_normal`` before the cut.
        bias_init: start value of every bias.
        batch_norm: a key of ``NORM_LAYERS``: the convolutions it follows.
        group_norm: the same for group norm, over groups of an image's channels.
        dropout: share of values dropped before each hidden dense layer in training, from the random
            stream ``dropout``.
        compute_dtype: a key of ``COMPUTE_DTYPES``: of activations, and of kernels where they are
            multiplied. Parameters, the statistics of batch norm and logits are float32 in any case.
        batch_axis: mesh axis the batch is split over, or None; batch norm averages over it.
        platform: JAX's name of the platform it will run on; it selects the convolution.
    """

    num_outputs: int
    conv_layers: int = 3
    conv_features: int = 64
    kernel_size: int = 5
    dense_features: tuple[int, ...] = (256, 128)
    activation: str = "relu"
    kernel_init: str = "lecun_normal"
    kernel_stddev: float = 0.1
    bias_init: float = 0.1
    batch_norm: str = "none"
    group_norm: str = "none"
    dropout: float = 0.0
    compute_dtype: str = "float32"
    batch_axis: str | None = None
    platform: str = ""

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], *, train: bool
    ) -> Float[Array, "n {self.num_outputs}"]:
        """Float images ``[N, H, W, C]`` to float32 logits; ValueError if they are too small."""
        activation = ACTIVATIONS[self.activation]
        dtype = COMPUTE_DTYPES[self.compute_dtype]
        layer_fields = {
            "kernel_init": KERNEL_INITS[self.kernel_init](self.kernel_stddev),
            "bias_init": nn.initializers.constant(self.bias_init),
            "dtype": dtype,
        }
        if min(x.shape[1:3]) < 2**self.conv_layers:
            raise ValueError(
                f"images of {x.shape[1]}x{x.shape[2]} pixels, as preprocess leaves them, are too "
                f"small for {self.conv_layers} conv layers, each halving the size: at least "
                f"{2**self.conv_layers} is needed, or a smaller model.conv_layers"
            )
        for layer in range(self.conv_layers):
            over_batch = NORM_LAYERS[self.batch_norm](layer)
            over_groups = NORM_LAYERS[self.group_norm](layer)
            x = nn.Conv(
                self.conv_features,
                (self.kernel_size, self.kernel_size),
                conv_general_dilated=CONVOLUTIONS.get(self.platform, lax.conv_general_dilated),
                # A norm has its own; batch norm takes any other away again.
                use_bias=not (over_batch or over_groups),
                **layer_fields,
            )(x)
            if over_groups:
                x = nn.GroupNorm(_NORM_GROUPS, dtype=dtype)(x)
            if over_batch:
                x = nn.BatchNorm(
                    use_running_average=not train, axis_name=self.batch_axis, dtype=dtype
                )(x)
            x = max_pool_2(activation(x))
        x = x.reshape(len(x), math.prod(x.shape[1:]))
        for features in self.dense_features:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = activation(nn.Dense(features, **layer_fields)(x))
        # Rounded to 8 bits, many logits would be equal.
        return nn.Dense(self.num_outputs, **layer_fields | {"dtype": jnp.float32})(x)


def make_model(
    fields: ml_collections.ConfigDict,
    *,
    num_classes: int,
    platform: str,
    batch_axis: str | None = BATCH,
) -> ConvNet:
    """The network that ``config.model`` describes.

    Args:
        fields: ``config.model``.
        num_classes: number of classes, the size of the logits where ``num_outputs`` is 0.
        platform: see ``ConvNet``.
        batch_axis: the same; None to train it outside a mesh.

    Raises:
        ValueError: a choice is unknown, a number out of range, or there are fewer outputs than
            classes.
    """
    fields = fields.to_dict()
    choose(ACTIVATIONS, fields["activation"], "model.activation")
    choose(KERNEL_INITS, fields["kernel_init"], "model.kernel_init")
    choose(NORM_LAYERS, fields["batch_norm"], "model.batch_norm")
    choose(NORM_LAYERS, fields["group_norm"], "model.group_norm")
    if fields["group_norm"] != "none":
        if fields["batch_norm"] != "none":
            raise ValueError("choose one of model.batch_norm and model.group_norm, not both")
        if fields["conv_features"] % _NORM_GROUPS:
            raise ValueError(
                f"model.group_norm needs model.conv_features in {_NORM_GROUPS} equal groups, got "
                f"{fields['conv_features']}"
            )
    choose(COMPUTE_DTYPES, fields["compute_dtype"], "model.compute_dtype")
    for field, least in (
        ("conv_layers", 0),
        ("conv_features", 1),
        ("kernel_size", 1),
        ("num_outputs", 0),
    ):
        at_least(least, fields[field], f"model.{field}")
    for size in fields["dense_features"]:
        if not isinstance(size, int):
            raise ValueError(f"model.dense_features must be whole numbers, got {size!r}")
        at_least(1, size, "model.dense_features")
    if not math.isfinite(fields["bias_init"]):
        raise ValueError(f"model.bias_init must be a finite number, got {fields['bias_init']}")
    if not 0 < fields["kernel_stddev"] < math.inf:
        raise ValueError(f"model.kernel_stddev must be above 0, got {fields['kernel_stddev']}")
    num_outputs = fields.pop("num_outputs") or num_classes
    within(0, 1, fields["dropout"], "model.dropout", below=True)
    if fields["dropout"] and not fields["dense_features"]:
        raise ValueError("model.dropout is for hidden dense layers, model.dense_features has none")
    if num_outputs < num_classes:
        raise ValueError(f"model.num_outputs is {num_outputs}, but there are {num_classes} classes")
    return ConvNet(num_outputs=num_outputs, batch_axis=batch_axis, platform=platform, **fields)
