"""Whatever comes from outside is used, or refused in one sentence: nothing else, and soon."""

import functools
import io
import time

import numpy as np
import pytest
from absl import flags
from conftest import load_config, make_picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ml_collections import config_flags

from phash_jax import catalog, codes, pictures
from phash_jax.errors import UserError
from phash_jax.picture_hashes import prepare
from phash_jax.runs import named_runs
from phash_jax.workdir import flatten

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
quickly = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def outcome(call, refusals=ValueError):
    """What a call returns, or the sentence that it is refused with."""
    try:
        return call(), None
    except refusals as error:
        return None, str(error)


@st.composite
def damaged(draw, whole):
    """Bytes with some changed, some doubled, and perhaps an end cut off."""
    content = bytearray(draw(st.sampled_from(whole)))
    for _ in range(draw(st.integers(0, 6))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        first = draw(st.integers(0, len(content)))
        content[first:first] = content[first : first + draw(st.integers(0, 64))]
    return bytes(content[: draw(st.integers(len(content) // 4, len(content)))])


def as_file(image, name):
    buffer = io.BytesIO()
    image.save(buffer, name)
    return buffer.getvalue()


@quickly
@given(damaged([as_file(make_picture(7), name) for name in FORMATS]) | st.binary(max_size=300))
def test_picture_files(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzzed_picture"
    path.write_bytes(content)
    file = pictures.PictureFile("fuzzed_picture", str(path), len(content))
    whole = functools.partial(
        prepare, hashes=["average_hash", "phash"], hash_size=8, pillow="13.0", whole=set()
    )
    began = time.monotonic()
    with pictures.reading([file], whole, threads=1, max_pixels=10_000) as read:
        (picture,) = read
    assert time.monotonic() - began < 30
    assert (picture.value is None) == bool(picture.problem)
    assert "\n" not in picture.problem


@quickly
@given(st.text(max_size=40) | st.text("0123456789abcdefABCDEFx_+- ", max_size=40))
def test_texts_of_hashes(text):
    bits, refusal = outcome(lambda: codes.from_hex(text, shape=(8, 8)))
    if refusal is None:
        assert codes.to_hex(bits) == text.lower()
    else:
        assert refusal
        assert "\n" not in refusal


FIELDS = sorted(flatten(load_config("default").to_dict()))
VALUES = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.text(max_size=12),
    st.sampled_from(["", ",", "None", "true", "()", "(1,)", "[", "{'a': 1}", "nan", "clean,,"]),
)


@quickly
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, min_size=1, max_size=3))
def test_configs_by_flag(tmp_path_factory, changes):
    values = flags.FlagValues()
    holder = config_flags.DEFINE_config_dict("config", load_config("default"), flag_values=values)
    arguments = [f"--config.{name}={value}" for name, value in changes.items()]

    def parse():
        values(["main.py", *arguments])
        return named_runs(values[holder.name].value, tmp_path_factory.getbasetemp())

    # What main.py turns into one line.
    refusals = (flags.Error, ValueError, TypeError, AttributeError, KeyError, UserError)
    runs, refusal = outcome(parse, refusals)
    assert refusal or len(runs) == 1


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalog")
    columns = {
        "ImageID": np.array(["a", "b", "c"], object),
        "phash": np.array([1, 2, 2**63], np.uint64),
    }
    catalog.write_part(folder, 0, columns)
    return catalog.finish(folder).read_bytes()


@quickly
@given(data=st.data())
def test_catalogs(parquet, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "catalog.parquet"
    path.write_bytes(data.draw(damaged([parquet]) | st.binary(max_size=100)))
    sql = "SELECT ImageID, hamming(phash, phash) AS bits FROM images"
    text, refusal = outcome(lambda: catalog.query(path, sql))
    assert refusal or text.startswith("ImageID")


@quickly
@given(
    sql=st.text(max_size=60)
    | st.lists(
        st.sampled_from(
            [
                "SELECT",
                "*",
                "FROM",
                "images",
                "hamming(phash, 1)",
                "COPY",
                "TO",
                "'/tmp/x'",
                ";",
                "read_csv('/etc/passwd')",
                "ATTACH",
                "INSTALL",
                "PRAGMA",
                "INTO",
                "DROP",
                "VIEW",
            ]
        ),
        max_size=6,
    ).map(" ".join)
)
def test_queries(parquet, tmp_path_factory, sql):
    path = tmp_path_factory.getbasetemp() / "whole.parquet"
    path.write_bytes(parquet)
    text, refusal = outcome(lambda: catalog.query(path, sql))
    assert refusal or text is not None
    assert "root:" not in (text or "")
    assert path.read_bytes() == parquet
