"""The numbers the study printed, as facts to stand beside ours.

Source: L. Han, "Exploratory Research of Object Recognition Based on Deep Learning and Image
Perceptual Hashing" (2017), the figure named by each constant. Trained networks have one seed each;
accuracies are fractions, not percent.
"""

from collections.abc import Sequence
from typing import Any

# The labels of CIFAR-10's first ten training images.
FIG_3_1_LABELS = (
    "frog",
    "truck",
    "truck",
    "deer",
    "automobile",
    "automobile",
    "bird",
    "horse",
    "ship",
    "cat",
)
FIG_3_2 = {
    "img_test": (2_000, 32, 32, 3),
    "images_train": (20_000, 32, 32, 3),
    "images_train_h": (20_000, 32, 32, 3),
    "images_test_h": (2_000, 32, 32, 3),
    "images_test_distorted": (2_000, 32, 32, 3),
}
# Fig 4.1's strings in its order, each with the picture it is of. Which is which follows from the
# distances of Fig 4.2 to 4.5, where the last two filters come in the other order.
FIG_4_1 = {
    "original": "fefc1800c05c0737",
    "crystallize": "fefc1880c05e077f",
    "contrast and noise": "fefc1800c05c0733",
    "swirl": "fefc1800c05c0737",
    "another picture": "ffefc74707070300",
}
# Fig 4.2 to 4.5, in differing hexadecimal digits.
FIG_4_2_TO_4_5 = {
    "crystallize": 4,
    "swirl": 0,
    "contrast and noise": 1,
    "another picture": 14,
}
# Fig 4.9: pairs with a distance under 10, for each of the three hashes alike.
FIG_4_9 = {"cat-cat": 270, "dog-dog": 346, "truck-dog": 139}

# Name: accuracy of the last training batch, test accuracy, seconds.
FIG_5_5: dict[str, tuple[float, float, int]] = {
    "original_fig_5_5": (0.921875, 0.5, 6_009),
    "elu": (0.92, 0.493, 5_285),
    "tanh": (0.93, 0.489, 6_899),
    "cross_entropy": (0.421875, 0.375, 855),
    "hinge": (0.5, 0.5, 3_261),
    "batch_100": (0.91, 0.488, 8_235),
    "batch_128": (0.929688, 0.471, 8_889),
    "gradient_descent": (0.58, 0.541, 6_746),
    "adagrad": (0.53125, 0.491, 4_186),
    "filter_size": (0.90625, 0.523, 8_198),
    "four_layers": (0.921875, 0.51, 8_100),
    "xavier": (0.65625, 0.492, 4_821),
    "uniform": (0.5, 0.472, 4_111),
}

# The study's names of the rows, with our reading where the name does not say it.
FIG_5_5_NAMES = {
    "original_fig_5_5": "Original",
    "elu": "ELU",
    "tanh": "TanH",
    "cross_entropy": "Cross Entropy (sigmoid)",
    "hinge": "Hinge",
    "batch_100": "Epoch 100 (batches of 100)",
    "batch_128": "Epoch 128 (batches of 128)",
    "gradient_descent": "Gradient Descent",
    "adagrad": "Adagrad",
    "filter_size": "Filter Size (3x3)",
    "four_layers": "4 Layers",
    "xavier": "Xavier",
    "uniform": "Uniform",
}

# Fig 5.2 and 5.7: accuracy of the batch logged at a step.
TRAINING_LOGS: dict[str, dict[int, float]] = {
    "original": {10_000: 0.844},
    "phash": {3_600: 0.906, 10_000: 1.0},
}

# Fig 5.4, 5.6 and 5.9: which network on which test set.
TEST_FIGURES = {
    "5.4": ("original", "clean"),
    "5.6": ("original", "contrast_200"),
    "5.9": ("phash", "clean"),
}

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
    **{
        name: {
            "last_batch_accuracy": train_accuracy,
            "seconds": seconds,
            "num_steps": 10_000,
            "test_size": 2_000,
            "test_correct": {},
            "test_accuracy": {"clean": test_accuracy},
        }
        for name, (train_accuracy, test_accuracy, seconds) in FIG_5_5.items()
    },
    # In the text only: about 10 % on the ten classes of CIFAR-10, "not learning anything".
    "ten_classes": {"test_correct": {}, "test_accuracy": {"clean": 0.1}},
    "none": {"test_correct": {}, "test_accuracy": {}},
}


# The inputs of the study's networks that are not raw images.
FED = {"phash": "average_hash"}


def is_comparable(
    published: str,
    *,
    data: str,
    class_names: Sequence[str],
    validation_share: float = 0.0,
    preprocess: str | None = None,
) -> bool:
    """Whether an entry of ``PUBLISHED`` is for the images, classes and inputs of a run.

    Args:
        published: key of ``PUBLISHED``.
        data: source of the images, ``config.data.name``.
        class_names: of the run.
        validation_share: ``config.data.validation_share``: the study tested the test images.
        preprocess: ``config.preprocess``; None where it does not matter.
    """
    if validation_share or preprocess not in (None, FED.get(published, "raw")):
        return False
    if published == "ten_classes":
        return data == "cifar10" and len(class_names) == 10
    return data == "cifar10" and set(class_names) == {"cat", "dog"}
