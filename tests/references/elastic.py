"""The elastic transform with OpenCV, scikit-image and SciPy; random draws are arguments."""

import cv2
import numpy as np
from scipy.ndimage import map_coordinates
from skimage.filters import gaussian


def elastic_transform(image, severity, points, pixels):
    amplitude, sigma, affine = (
        (0, 0, 0.08),
        (0.05, 0.2, 0.07),
        (0.08, 0.06, 0.06),
        (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03),
    )[severity - 1]
    unit = image.astype(np.float32) / 255
    height, width, channels = unit.shape
    centre, reach = np.float32((height, width)) // 2, min(height, width) // 3
    corners = np.float32([centre + reach, [centre[0] + reach, centre[1] - reach], centre - reach])
    moved = corners + (points * affine * 32).astype(np.float32)
    matrix = cv2.getAffineTransform(corners, moved)
    unit = cv2.warpAffine(unit, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    if amplitude:
        away_x, away_y = (
            gaussian(plane.astype(float), sigma * 32, mode="reflect", truncate=3) * amplitude * 32
            for plane in pixels
        )
    else:
        away_x = away_y = np.zeros((height, width))
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    places = [(y + away_y.astype(np.float32)), (x + away_x.astype(np.float32))]
    planes = [
        map_coordinates(unit[..., c], places, order=1, mode="reflect") for c in range(channels)
    ]
    return (np.clip(np.stack(planes, -1), 0, 1) * 255).astype(np.uint8)
