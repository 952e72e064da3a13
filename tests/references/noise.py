"""Noises; random draws are arguments."""

import numpy as np

from references.blur import to_uint8


def gaussian_noise(image, severity, normal):
    deviation = (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
    return to_uint8(image / 255.0 + deviation * normal.astype(float))


def speckle_noise(image, severity, normal):
    deviation = (0.06, 0.1, 0.12, 0.16, 0.2)[severity - 1]
    unit = image / 255.0
    return to_uint8(unit + unit * deviation * normal.astype(float))


def impulse_noise(image, severity, uniform):
    share = np.float32((0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1])
    noisy = image.copy()
    noisy[uniform < share] = 0
    noisy[uniform < share / 2] = 255
    return noisy
