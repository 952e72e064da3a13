"""Image sources: drawn, CIFAR-10, and the user's own files."""
