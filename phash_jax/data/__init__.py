"""Image sources: generated pictures, CIFAR-10, and the user's own files."""
