"""A catalog of images as one Parquet file: written in parts, read as arrays, queried in SQL.

python -m phash_jax.catalog DIR "SELECT LabelName, count(*) FROM images GROUP BY ALL"

Columns, in this order: ImageID, LabelName, Type (train or test) and ImageAddr, as in the study's
table (Fig 3.1); Width and Height in pixels where they are known; the hashes as unsigned 64-bit
integers, most significant bit first, a longer hash as ``<name>_0``, ``<name>_1`` and so on;
``fragile``, the names of this image's hashes that floating-point noise may have decided.
"""

import argparse
import contextlib
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
from jaxtyping import Bool, UInt64

from phash_jax import tables
from phash_jax.command_line import ended_in_one_line
from phash_jax.whole_files import written_whole

if TYPE_CHECKING:
    import duckdb

_NAME, _PARTS = "catalog.parquet", "parts"
_PART = re.compile(r"part-\d+\.parquet")
_MOST_ROWS_SHOWN = 100_000


def hash_columns(
    name: str, bits: Bool[np.ndarray, "n rows columns"]
) -> dict[str, UInt64[np.ndarray, " n"]]:
    """The columns of one hash: the integer of ``codes.to_int``, in words of 64 bits.

    Args:
        name: name of the hash.
        bits: one hash per image.
    """
    flat = bits.reshape(len(bits), bits.shape[1] * bits.shape[2])
    flat = np.pad(flat, ((0, 0), (-flat.shape[1] % 64, 0)))
    num_words = flat.shape[1] // 64
    octets = np.packbits(flat, axis=1).reshape(len(bits), num_words, 8)
    words = octets.view(">u8")[..., 0].astype(np.uint64)
    if num_words == 1:
        return {name: words[:, 0]}
    return {f"{name}_{i}": words[:, i] for i in range(num_words)}


def fragile_column(fragile: Mapping[str, Bool[np.ndarray, " n"]]) -> dict[str, np.ndarray]:
    """The column ``fragile``: of each image the names of its fragile hashes, separated by commas.

    Args:
        fragile: by name of the hash, in the order in which they are to be named.
    """
    rows = zip(*fragile.values(), strict=True)
    listed = [",".join(itertools.compress(fragile, row)) for row in rows]
    return {"fragile": np.array(listed, object)}


def write_part(folder: Path, index: int, columns: Mapping[str, np.ndarray]) -> None:
    """Writes part number ``index`` of a catalog; it is there as a whole or not at all.

    Args:
        folder: where the catalog is to be.
        index: number of the part, from 0.
        columns: arrays of one length; all parts have the same columns. Text is of dtype object.
    """
    parts = folder / _PARTS
    parts.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        {
            name: pa.array(values, pa.string() if values.dtype.kind in "OU" else None)
            for name, values in columns.items()
        }
    )
    path = parts / f"part-{index:06d}.parquet"
    with written_whole(path) as temporary:
        pq.write_table(table, temporary)


def parts_done(folder: Path) -> set[int]:
    """Numbers of the parts that are written."""
    return {_number(path) for path in _part_paths(folder)}


def finish(folder: Path) -> Path:
    """Joins the parts, in order, into ``catalog.parquet``; removes them and returns its path.

    One part is in memory at a time. A finished catalog without parts is left as it is.

    Raises:
        ValueError: a part is damaged.
    """
    path = folder / _NAME
    parts = _part_paths(folder)
    if parts:
        with (
            written_whole(path) as temporary,
            pq.ParquetWriter(temporary, _of_part(pq.read_schema, parts[0])) as writer,
        ):
            for part in parts:
                writer.write_table(_of_part(pq.read_table, part))
    clear_parts(folder)
    return path


def _of_part(read: Callable[[Path], Any], part: Path) -> Any:
    try:
        return read(part)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{part} is damaged ({error}): remove it and start the same command again, which makes "
            "it anew"
        ) from error


def clear_parts(folder: Path) -> None:
    """Removes the parts of a finished catalog, if a kill has left some; nothing else."""
    remove_parts(folder / _PARTS)


def remove_parts(parts: Path) -> None:
    """Removes the numbered files of a folder, and the folder unless it holds something else."""
    for path in parts.glob("part-[0-9]*"):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        parts.rmdir()


def is_finished(folder: Path) -> bool:
    """Whether the catalog is whole."""
    return (folder / _NAME).exists()


def _part_paths(folder: Path) -> list[Path]:
    found = (folder / _PARTS).glob("part-*.parquet")
    return sorted((path for path in found if _PART.fullmatch(path.name)), key=_number)


def _number(part: Path) -> int:
    # From a million parts on, the names differ in length.
    return int(part.stem.removeprefix("part-"))


def read_columns(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns of a catalog as NumPy arrays, text as objects.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        table = pq.read_table(path, columns=list(names))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error
    return {name: table[name].to_numpy() for name in names}


def connect(path: Path) -> "duckdb.DuckDBPyConnection":
    """A DuckDB connection with the catalog as ``images`` and two functions for its hashes.

    ``hamming(a, b)`` counts differing bits; ``hash_hex(a)`` is the text of 64 bits as ImageHash
    writes it, ``hash_hex(a, digits := 11)`` that of a hash with so many hex digits (colorhash). For
    a hash of several columns add up their distances. The connection can neither write files nor
    read others, so that no query damages a catalog.

    Args:
        path: a catalog, or the folder it lies in.

    Raises:
        FileNotFoundError: there is none; the message says what makes one.
        ValueError: the file is not a Parquet file.
    """
    path = path / _NAME if path.is_dir() else path
    if not path.exists():
        unfinished = (
            ", only parts of one: start its command again" if _part_paths(path.parent) else ""
        )
        raise FileNotFoundError(
            f"there is no catalog {path}{unfinished}; configs/catalog.py and "
            "configs/hash_images.py make one"
        )
    try:
        rows = pyarrow.dataset.dataset(path, format="parquet")
    # Arrow raises several kinds of error for damage, OSError among them.
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error
    # Loaded here, since only queries need it and trainings import this module too.
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.register("images", rows)
    connection.execute("CREATE MACRO hamming(a, b) AS bit_count(xor(a, b))::INTEGER")
    connection.execute("CREATE MACRO hash_hex(a, digits := 16) AS lpad(lower(hex(a)), digits, '0')")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path} is damaged or not a Parquet file ({error}): remove it and start the command that "
        "makes it again"
    )


def query(path: Path, sql: str) -> str:
    """The result of one SQL query over a catalog, as a text table.

    Raises:
        FileNotFoundError, ValueError: as ``connect``; ValueError also for wrong SQL, and for more
            rows than anyone reads.
    """
    import duckdb

    if not sql.strip("; \n\t"):
        raise ValueError("the query is empty: ask for something, as SELECT * FROM images LIMIT 3")
    with connect(path) as connection:
        try:
            connection.execute(sql)
            header = [column[0] for column in connection.description or []]
            rows = connection.fetchmany(_MOST_ROWS_SHOWN + 1)
        except duckdb.Error as error:
            raise ValueError(f"DuckDB: {error}") from error
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, error) from error
        except RuntimeError as error:
            # What DuckDB makes of Ctrl-C.
            if "interrupted" not in str(error).lower():
                raise
            raise KeyboardInterrupt from error
    if len(rows) > _MOST_ROWS_SHOWN:
        raise ValueError(
            f"the result has more than {_MOST_ROWS_SHOWN:,} rows: add LIMIT, or read the catalog "
            "with phash_jax.catalog.connect"
        )
    return tables.plain([header, *rows])


def main() -> None:
    """Queries a catalog; an error that the user can fix ends in one line and exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path", type=Path, metavar="DIR", help="a catalog or its folder")
    parser.add_argument(
        "sql", help="a query over the table images; hamming(a, b) gives bits, hash_hex(a) text"
    )
    arguments = parser.parse_args()
    with ended_in_one_line():
        print(query(arguments.path, arguments.sql))


if __name__ == "__main__":
    main()
