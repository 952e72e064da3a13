"""What Pillow itself does to an image."""

import io

import numpy as np
from PIL import Image


def pixelate(image, severity):
    share = (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1]
    height, width = image.shape[:2]
    reduced = Image.fromarray(image).resize(
        (max(1, int(width * share)), max(1, int(height * share))), Image.Resampling.BOX
    )
    return np.asarray(reduced.resize((width, height), Image.Resampling.BOX))


def jpeg_compression(image, severity):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=(80, 65, 58, 50, 40)[severity - 1])
    return np.asarray(Image.open(file))
