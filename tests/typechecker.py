"""Checks every call against its annotations; an int is a float, as Python's own typing has it."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
