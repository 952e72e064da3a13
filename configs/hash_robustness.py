"""How many bits of each hash a distortion flips, and how well hashes still tell images apart.

python main.py --config=configs/hash_robustness.py --workdir=runs/hash_robustness \
    --config.data.name=cifar10
"""

from configs import default


def get_config():
    """Every hash and every distortion, on the test images."""
    config = default.get_config()
    config.job = config.name = "hash_robustness"
    config.hash.names = "average_hash,dhash,dhash_vertical,phash,phash_simple,whash,colorhash"
    return config
