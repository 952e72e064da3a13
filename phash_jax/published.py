"""The numbers the study printed, as facts to stand beside ours.

Source: L. Han, "Exploratory Research of Object Recognition Based on Deep Learning and Image
Perceptual Hashing" (2017), Fig 5.2 to 5.9 and 6.1. One seed each; fractions, not percent.
"""

from typing import Any

PUBLISHED: dict[str, dict[str, Any]] = {
    "original": {
        "last_batch_accuracy": 0.844,
        "steps_to_90_single_batch": 9_000,
        "train_loss": 0.32,
        "average_accuracy_cross_entropy": 0.23,
        "seconds": 4 * 3600 + 22 * 60 + 49,
        "num_steps": 10_000,
        "test_size": 2_000,
        "test_correct": {"clean": 1_092, "contrast_200": 993},
        "test_accuracy": {"clean": 0.546, "contrast_200": 0.496},
    },
    "phash": {
        "last_batch_accuracy": 1.0,
        "steps_to_90_single_batch": 3_600,
        "train_loss": 0.03,
        "average_accuracy_cross_entropy": 0.3,
        "seconds": 4 * 3600 + 55 * 60 + 43,
        "num_steps": 10_000,
        "test_size": 2_000,
        "test_correct": {"clean": 1_364},
        "test_accuracy": {"clean": 0.682},
    },
    "none": {"test_correct": {}, "test_accuracy": {}},
}
