"""ImageMagick's motion blur by shifts of whole pixels; the angle is an argument."""

import numpy as np


def smear(values, radius, sigma, angle):
    """Weighted sum of shifted copies of ``[h, w, ...]`` along ``angle`` degrees."""
    height, width = values.shape[:2]
    weights = np.exp(-0.5 * (np.arange(2 * radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    total = np.zeros(values.shape)
    for step, weight in enumerate(weights):
        down = int(np.ceil(step * np.sin(np.deg2rad(angle)) - 0.5))
        right = int(np.ceil(step * np.cos(np.deg2rad(angle)) - 0.5))
        rows = np.clip(np.arange(height) + down, 0, height - 1)
        columns = np.clip(np.arange(width) + right, 0, width - 1)
        total += weight * values[rows][:, columns]
    return total


def motion_blur(image, severity, angle):
    radius, sigma = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))[severity - 1]
    return np.clip(np.rint(smear(image.astype(float), radius, sigma, angle)), 0, 255).astype(
        np.uint8
    )
