"""Snow and fog with SciPy and OpenCV; random draws are arguments."""

import cv2
import numpy as np

from references.blur import clipped_zoom, to_uint8
from references.motion_blur import smear


def snow(image, severity, flakes, angle):
    mean, deviation, zoom, least, radius, sigma, kept = (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    )[severity - 1]
    unit = image.astype(np.float32) / 255
    layer = clipped_zoom((mean + deviation * flakes.astype(float))[..., None], zoom)[..., 0]
    layer[layer < least] = 0
    layer = (np.clip(layer, 0, 1) * 255).astype(np.uint8).astype(float)
    layer = np.rint(smear(layer, radius, sigma, angle))[..., None] / 255
    gray = cv2.cvtColor(unit, cv2.COLOR_RGB2GRAY)[..., None]
    unit = kept * unit + (1 - kept) * np.maximum(unit, gray * 1.5 + 0.5)
    return to_uint8(unit + layer + np.rot90(layer, k=2))


def plasma(draws, decay):
    """Diamond-square in place on one array, point by point, its edges joined."""
    size = round((len(draws) + 1) ** 0.5)
    cloud = np.zeros((size, size))
    draws = iter(draws.astype(float))
    step, wobble = size, 100.0

    def add(y, x, neighbours):
        mean = sum(cloud[(y + dy) % size, (x + dx) % size] for dy, dx in neighbours) / 4
        cloud[y, x] = mean + wobble**2 * next(draws)

    while step >= 2:
        half = step // 2
        corners = [(-half, -half), (-half, half), (half, -half), (half, half)]
        sides = [(-half, 0), (half, 0), (0, -half), (0, half)]
        whole = range(0, size, step)
        for y in whole:
            for x in whole:
                add(y + half, x + half, corners)
        for y in whole:
            for x in whole:
                add(y, x + half, sides)
        for y in whole:
            for x in whole:
                add(y + half, x, sides)
        step, wobble = half, wobble / decay
    cloud -= cloud.min()
    return cloud / cloud.max()


def fog(image, severity, draws):
    share, decay = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))[severity - 1]
    unit = image / 255.0
    brightest = unit.max()
    cloud = plasma(draws, decay)[: image.shape[0], : image.shape[1], None]
    return to_uint8((unit + share * cloud) * brightest / (brightest + share))
