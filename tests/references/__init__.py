"""Our own NumPy forms of distortions, with the libraries that the originals use."""
