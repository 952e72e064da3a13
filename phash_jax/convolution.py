"""2-D convolutions in forms that suit XLA:CPU, and many networks at once on a GPU."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from phash_jax import winograd

_IMAGES_PER_CHUNK = 4
# With 3 channels the transforms cost more than the multiplications they save.
_MIN_CHANNELS_FOR_WINOGRAD = 16


def conv_on_cpu(
    lhs,
    rhs,
    window_strides,
    padding,
    *,
    lhs_dilation=None,
    rhs_dilation=None,
    feature_group_count=1,
    **kwargs,
):
    """``lax.conv_general_dilated`` for NHWC images, so that it can be given to ``flax.linen.Conv``.

    Where possible by Winograd's algorithm: forward and backward in a third to half of the time.
    Not for images sharded over an explicit mesh: that algorithm joins axes, which JAX refuses for a
    sharded one (inside ``shard_map`` there is none). Otherwise directly, with the weight gradient
    summed over chunks of the batch: XLA:CPU computes it as a convolution whose kernel is the whole
    batch of output gradients. At 64 images of 32x32 pixels and 64 channels that kernel is 16 MB and
    falls out of the cache; in chunks of 4 images the same gradient takes 0.4 to 0.6 of the time.
    (XLA:CPU is slow at convolutions within loops: mapped over the chunks, forward and backward pass
    together take 7 to 16 times as long.) Differentiable in reverse mode (``grad``, ``vjp``), not in
    forward mode (``jvp``).
    """
    plain = (
        {*window_strides, *(lhs_dilation or ()), *(rhs_dilation or ())} == {1}
        and padding == "SAME"
        and feature_group_count == 1
        and kwargs.get("batch_group_count", 1) == 1
        and kwargs.get("precision") is None
        and kwargs.get("preferred_element_type") is None
        and all(axis is None for axis in jax.typeof(lhs).sharding.spec)
    )
    height, width, channels, _ = rhs.shape
    if (
        plain
        and height == width
        and height in winograd.KERNEL_SIZES
        and channels >= _MIN_CHANNELS_FOR_WINOGRAD
    ):
        # Its transforms would multiply the rounding errors of a shorter type.
        exact = winograd.conv(lhs.astype(jnp.float32), rhs.astype(jnp.float32))
        return exact.astype(lhs.dtype)

    def conv(x, w):
        return lax.conv_general_dilated(
            x,
            w,
            window_strides,
            padding,
            lhs_dilation=lhs_dilation,
            rhs_dilation=rhs_dilation,
            feature_group_count=feature_group_count,
            **kwargs,
        )

    @jax.custom_vjp
    def chunked(x, w):
        return conv(x, w)

    def forward(x, w):
        return conv(x, w), (x, w)

    def backward(residuals, g):
        x, w = residuals
        (dx,) = jax.linear_transpose(lambda x: conv(x, w), x)(g)
        bounds = list(range(_IMAGES_PER_CHUNK, x.shape[0], _IMAGES_PER_CHUNK))
        dw = sum(
            jax.linear_transpose(lambda w, part=part: conv(part, w), w)(g_part)[0]
            for part, g_part in zip(jnp.split(x, bounds), jnp.split(g, bounds), strict=True)
        )
        return dx, dw

    chunked.defvjp(forward, backward)
    return chunked(lhs, rhs)


def conv_on_gpu(lhs, rhs, *args, **kwargs):
    """``lax.conv_general_dilated`` that ``vmap`` turns into one convolution for each network.

    Usually ``vmap`` makes one convolution with that many groups of features. Its weight gradient is
    a convolution whose kernels are the output gradients, 32x32 pixels here, and XLA's GPU compiler
    (of jax 0.10.2) mistakes it for a forward convolution. The weight gradient of a single network
    it recognises, and calls cuDNN's function for it. Not measured, since no GPU was at hand: read
    off the compiled programs. Differentiable in reverse mode only, as ``conv_on_cpu``, and as often
    as wanted.
    """

    def conv(x, w):
        return lax.conv_general_dilated(x, w, *args, **kwargs)

    # Of these two the last argument gives only a shape.
    def inputs_gradient(g, w, x):
        return jax.linear_transpose(lambda x: conv(x, w), x)(g)[0]

    def kernels_gradient(g, x, w):
        return jax.linear_transpose(lambda w: conv(x, w), w)(g)[0]

    # Each of the three is linear in two arguments, and the other two are its gradients.
    of_all = _differentiable(
        _unrolled_by_vmap(conv),
        lambda g, x, w: (of_inputs(g, w, x), of_kernels(g, x, w)),
    )
    of_inputs = _differentiable(
        _unrolled_by_vmap(inputs_gradient),
        lambda dx, g, w, x: (of_all(dx, w), of_kernels(g, dx, w), jnp.zeros_like(x)),
    )
    of_kernels = _differentiable(
        _unrolled_by_vmap(kernels_gradient),
        lambda dw, g, x, w: (of_all(x, dw), of_inputs(g, dw, x), jnp.zeros_like(w)),
    )
    return of_all(lhs, rhs)


def _differentiable(fn: Callable, gradient: Callable) -> Callable:
    """``fn`` of arrays, whose ``gradient(of_result, *arrays)`` has a part for each of them."""
    fn = jax.custom_vjp(fn)
    fn.defvjp(lambda *args: (fn(*args), args), lambda args, g: gradient(g, *args))
    return fn


def _unrolled_by_vmap(fn: Callable) -> Callable:
    """``fn`` of arrays, called by ``vmap`` for one element after another."""
    fn = jax.custom_batching.custom_vmap(fn)

    @fn.def_vmap
    def one_after_another(axis_size, in_batched, *args):
        results = [
            fn(*(arg[i] if batched else arg for arg, batched in zip(args, in_batched, strict=True)))
            for i in range(axis_size)
        ]
        return jnp.stack(results), True

    return fn


# By JAX's name of the platform; elsewhere ``lax.conv_general_dilated`` is used as it is. (Unrolled,
# ten networks took XLA's compiler for TPU 2.6 times as long.)
CONVOLUTIONS: dict[str, Callable] = {"cpu": conv_on_cpu, "gpu": conv_on_gpu}
