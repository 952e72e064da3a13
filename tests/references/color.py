"""Brightness, contrast and saturation with scikit-image."""

import numpy as np
from skimage.color import hsv2rgb, rgb2hsv

from references.blur import to_uint8


def brightness(image, severity):
    hsv = rgb2hsv(image / 255.0)
    hsv[..., 2] = np.clip(hsv[..., 2] + (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1], 0, 1)
    return to_uint8(hsv2rgb(hsv))


def contrast(image, severity):
    unit = image / 255.0
    mean = unit.mean((0, 1), keepdims=True)
    return to_uint8((unit - mean) * (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1] + mean)


def saturate(image, severity):
    scale, offset = ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2))[severity - 1]
    hsv = rgb2hsv(image / 255.0)
    hsv[..., 1] = np.clip(hsv[..., 1] * scale + offset, 0, 1)
    return to_uint8(hsv2rgb(hsv))
