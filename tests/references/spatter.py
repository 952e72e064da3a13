"""Spatter with scikit-image and OpenCV; the random draw is an argument."""

import cv2
import numpy as np
from skimage.filters import gaussian

from references.blur import to_uint8


def spatter(image, severity, draw):
    mean, deviation, sigma, least, strength, is_mud = (
        (0.62, 0.1, 0.7, 0.7, 0.5, False),
        (0.65, 0.1, 0.8, 0.7, 0.5, False),
        (0.65, 0.3, 1, 0.69, 0.5, False),
        (0.65, 0.1, 0.7, 0.69, 0.6, True),
        (0.65, 0.1, 0.5, 0.68, 0.6, True),
    )[severity - 1]
    unit = image.astype(np.float32) / 255
    liquid = gaussian(mean + deviation * draw.astype(float), sigma=sigma)
    liquid[liquid < least] = 0
    if is_mud:
        mud = gaussian((liquid > least).astype(np.float32), sigma=strength)
        mud[mud < 0.8] = 0
        mud = mud[..., None]
        return to_uint8(unit * (1 - mud) + mud * np.array((63, 42, 20)) / 255)
    levels = np.clip(liquid * 255, 0, 255).astype(np.uint8)
    distance = cv2.distanceTransform(255 - cv2.Canny(levels, 50, 150), cv2.DIST_L2, 5)
    distance = cv2.threshold(distance, 20, 20, cv2.THRESH_TRUNC)[1]
    relief = cv2.equalizeHist(cv2.blur(distance, (3, 3)).astype(np.uint8))
    kernel = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    relief = cv2.blur(cv2.filter2D(relief, cv2.CV_8U, kernel), (3, 3)).astype(np.float32)
    water = levels * relief
    water = water / max(water.max(), 1e-9) * strength
    return to_uint8(unit + water[..., None] * np.array((175, 238, 238)) / 255)
