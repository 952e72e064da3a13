"""The blurs with SciPy, scikit-image and OpenCV; random draws are arguments."""

import cv2
import numpy as np
from scipy import ndimage
from skimage.filters import gaussian


def to_uint8(values):
    return (np.clip(values, 0, 1) * 255).astype(np.uint8)


def gaussian_blur(image, severity):
    sigma = (0.4, 0.6, 0.7, 0.8, 1)[severity - 1]
    return to_uint8(gaussian(image / 255.0, sigma=sigma, channel_axis=-1))


def defocus_blur(image, severity):
    radius, sigma = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))[severity - 1]
    x, y = np.meshgrid(np.arange(-8, 9), np.arange(-8, 9))
    disk = (x**2 + y**2 <= radius**2).astype(np.float32)
    disk /= disk.sum()
    kernel = cv2.GaussianBlur(disk, ksize=(3, 3), sigmaX=sigma)
    return to_uint8(cv2.filter2D(image / 255.0, -1, kernel))


def glass_blur(image, severity, moves):
    sigma = (0.05, 0.25, 0.4, 0.25, 0.4)[severity - 1]
    seen = (gaussian(image / 255.0, sigma=sigma, channel_axis=-1) * 255).astype(np.uint8)
    height, width = image.shape[:2]
    for up, left in moves[: (1, 1, 1, 2, 2)[severity - 1]]:
        for row in range(height - 1, 1, -1):
            for column in range(width - 1, 1, -1):
                source = row - int(up[row, column]), column - int(left[row, column])
                seen[row, column], seen[source] = seen[source], seen[row, column]
    return to_uint8(gaussian(seen / 255.0, sigma=sigma, channel_axis=-1))


def clipped_zoom(values, factor):
    """Enlarges the middle of ``[h, w, c]`` to the whole."""
    height, width = values.shape[:2]
    cut_h, cut_w = int(np.ceil(height / factor)), int(np.ceil(width / factor))
    top, left = (height - cut_h) // 2, (width - cut_w) // 2
    middle = values[top : top + cut_h, left : left + cut_w]
    enlarged = ndimage.zoom(middle, (factor, factor, 1), order=1)
    top, left = (enlarged.shape[0] - height) // 2, (enlarged.shape[1] - width) // 2
    return enlarged[top : top + height, left : left + width]


def zoom_blur(image, severity):
    factors = np.arange(1, (1.06, 1.11, 1.16, 1.21, 1.26)[severity - 1], 0.01)
    unit = (image / 255.0).astype(np.float32)
    total = sum((clipped_zoom(unit, factor) for factor in factors), np.zeros_like(unit))
    return to_uint8((unit + total) / (len(factors) + 1))
