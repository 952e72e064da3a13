"""What a run writes while it trains: metrics.jsonl and TensorBoard events."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from tensorboardX import summary as summaries
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary

from phash_jax.errors import listed
from phash_jax.json_files import append_line, damaged, read_lines, rewrite_lines

_HISTOGRAM_BINS = 64
# No line of a training log can be spared.
_UNDAMAGED = "put an undamaged copy in its place, or start again in another --workdir"
# One value per seed, except for the first two.
_LOGGED = {"step", "seconds", "loss", "accuracy", "batch_accuracy", "grad_norm"}


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl; a last line cut by a crash is left out.

    Raises:
        ValueError: a line before the last is not JSON, or one is not a record of a training step.
    """
    records = read_lines(path, then=_UNDAMAGED)
    for record in records:
        if lacking := _LOGGED - record.keys():
            raise damaged(path, f"a line lacks {listed(sorted(lacking))}", _UNDAMAGED)
        if not isinstance(record["step"], int):
            raise damaged(path, "a step is not a whole number", _UNDAMAGED)
        for name in ("loss", *sorted(_LOGGED - {"step", "seconds", "loss"})):
            if not _is_per_seed(record[name]) or len(record[name]) != len(record["loss"]):
                raise damaged(path, f"{name} is not a number for each seed", _UNDAMAGED)
    return records


def _is_per_seed(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, int | float) for value in values)


def last_step(directory: Path) -> int:
    """The last step in a run's metrics.jsonl, 0 where there is none.

    Raises:
        ValueError: metrics.jsonl is damaged.
    """
    records = read_metrics(directory / "metrics.jsonl")
    return records[-1]["step"] if records else 0


def read_until(directory: Path, step: int) -> list[dict[str, Any]]:
    """The records of a run up to the step that it resumes from.

    Raises:
        ValueError: metrics.jsonl is damaged, or does not reach to that step.
    """
    path = directory / "metrics.jsonl"
    records = [record for record in read_metrics(path) if record["step"] <= step]
    # A step is saved after it is logged.
    logged = records[-1]["step"] if records else 0
    if logged != step:
        reason = f"it ends at step {logged}, the checkpoint to resume from is of step {step}"
        raise damaged(path, reason, _UNDAMAGED)
    return records


class MetricsLog:
    """Appends one record per logged step to metrics.jsonl and to TensorBoard events.

    Opening drops what lies after ``step``: a resumed run writes those records again. One of several
    processes has ``write``; the others only keep their ``records``.

    Raises:
        ValueError: the file is damaged, or does not reach to ``step``.
    """

    def __init__(self, directory: Path, *, step: int, write: bool = True):
        self._path = directory / "metrics.jsonl"
        self.records = read_until(directory, step)
        self._writes = write
        if not write:
            return
        rewrite_lines(self._path, self.records)
        self._file = self._path.open("a")
        (directory / "tensorboard").mkdir(exist_ok=True)
        # Not its SummaryWriter: that writes from a thread, and waits for ever where the thread has
        # died of a full disk.
        self._events = EventsWriter(
            str(directory / "tensorboard" / "events"),
            # Files are named by the second: a quick restart would overwrite its predecessor's.
            filename_suffix=f".{time.time_ns()}",
        )
        # TensorBoard drops what an earlier file has from this step on.
        self._events.write_event(
            Event(
                wall_time=time.time(),
                step=step + 1,
                session_log=SessionLog(status=SessionLog.START),
            )
        )

    def _add(self, summary: Summary, step: int) -> None:
        self._events.write_event(Event(wall_time=time.time(), step=step, summary=summary))

    def write(self, record: dict[str, Any], seeds: list[int]) -> None:
        """Logs ``record``: ``step``, ``seconds`` and lists with one value per seed.

        ``test_accuracy``, where there is one, is a dict of such lists.
        """
        self.records.append(record)
        if not self._writes:
            return
        append_line(self._file, record)
        tested = record.get("test_accuracy", {})
        scalars = record | {f"test_accuracy/{name}": values for name, values in tested.items()}
        for name, values in scalars.items():
            if isinstance(values, list):
                for seed, value in zip(seeds, values, strict=True):
                    self._add(summaries.scalar(f"{name}/seed_{seed}", value), record["step"])
        self._events.flush()

    def histograms(self, arrays: dict[str, np.ndarray], step: int) -> None:
        """Writes one TensorBoard histogram per named array."""
        if not self._writes:
            return
        for name, array in arrays.items():
            self._add(summaries.histogram(name, array, _HISTOGRAM_BINS), step)
        self._events.flush()

    def __enter__(self) -> "MetricsLog":
        """For use in a ``with`` statement, which closes both files."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Flushes and closes both files."""
        if not self._writes:
            return
        self._file.close()
        self._events.close()
