"""CIFAR-10-C's corruptions under their names: the 15 of its mean, and the 4 extra ones."""

from phash_jax.distortions.blur import defocus_blur, gaussian_blur, glass_blur
from phash_jax.distortions.color import brightness, contrast, saturate
from phash_jax.distortions.elastic import elastic_transform
from phash_jax.distortions.jpeg import jpeg_compression
from phash_jax.distortions.motion_blur import motion_blur
from phash_jax.distortions.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from phash_jax.distortions.pixelate import pixelate
from phash_jax.distortions.spatter import spatter
from phash_jax.distortions.weather import fog, frost, snow
from phash_jax.distortions.zoom import zoom_blur

# In the order of the paper's tables.
CIFAR10C = {
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "defocus_blur": defocus_blur,
    "glass_blur": glass_blur,
    "motion_blur": motion_blur,
    "zoom_blur": zoom_blur,
    "snow": snow,
    "frost": frost,
    "fog": fog,
    "brightness": brightness,
    "contrast": contrast,
    "elastic_transform": elastic_transform,
    "pixelate": pixelate,
    "jpeg_compression": jpeg_compression,
}

EXTRA = {
    "speckle_noise": speckle_noise,
    "gaussian_blur": gaussian_blur,
    "spatter": spatter,
    "saturate": saturate,
}
