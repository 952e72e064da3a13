"""Perceptual hashing, hash-image classifiers and their evaluation, in JAX."""
