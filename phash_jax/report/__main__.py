"""python -m phash_jax.report DIR [DIR ...] --output=DIR."""

from phash_jax.report.report import main

main()
