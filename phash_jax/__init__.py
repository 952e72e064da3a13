"""Perceptual hashing, hash-image classifiers and their evaluation, in JAX.

Import the module that you need; the package itself loads none. For code of your own:

- ``hashing``: average, difference, DCT, wavelet and colour hashes of pictures;
- ``codes``, ``hamming``: hashes as text, numbers and packed words; distances and search;
- ``binarize``, ``bit_depth``, ``preprocess``: hash images, and other inputs of networks;
- ``distortions``: CIFAR-10-C's 19 and the study's four;
- ``networks``: trained networks, restored from their workdirs.
"""
