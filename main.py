"""Runs the job of one config: python main.py --config=configs/X.py --workdir=DIR.

On many hosts, or in many processes of one, the same command is started in each with --distributed.
"""

import importlib
import operator
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

import ml_collections
from absl import app, flags, logging
from ml_collections import config_flags

from phash_jax.allocation import keep_freed_memory
from phash_jax.checks import choose, names
from phash_jax.command_line import print_any_letter
from phash_jax.errors import UserError, is_disk_full, is_out_of_memory
from phash_jax.fields import READ_WITH, is_read
from phash_jax.stopping import StopRequestedError, stop_on_signals

config_flags.DEFINE_config_file(
    "config",
    help_string="Config file (all fields are in configs/default.py); override a field with "
    "--config.section.field=value.",
    lock_config=True,
)
flags.DEFINE_string("workdir", None, "Folder for the results; a run in an existing one is resumed.")
flags.DEFINE_bool(
    "distributed",
    False,
    "This is one of several processes that do the job together and share the workdir. What the "
    "flags below do not say is taken from the cluster (Slurm, Open MPI, Kubernetes, TPU pods).",
)
flags.DEFINE_string("coordinator", "", "Address of the first process, HOST:PORT.")
flags.DEFINE_integer("num_processes", 0, "How many processes there are.")
flags.DEFINE_integer("process_id", -1, "Number of this process, from 0.")
flags.mark_flags_as_required(["config", "workdir"])

# The module whose ``run(config, workdir)`` does a job and returns what is printed. Imported when
# the job is known: JAX and what else a job needs take seconds to load.
JOBS: dict[str, str] = {
    "train": "phash_jax.experiment",
    "robustness": "phash_jax.robustness",
    "hash_robustness": "phash_jax.hash_robustness",
    "export_distorted": "phash_jax.export_distorted",
    "arrays": "phash_jax.study_arrays",
    "catalog": "phash_jax.catalog_dataset",
    "hash_images": "phash_jax.hash_images",
    "hash_study": "phash_jax.hash_study",
}
# Those that several processes can do together.
DISTRIBUTED_JOBS = ("train", "hash_images", "catalog")


def run_job(config: ml_collections.ConfigDict, workdir: Path) -> str:
    """Does the config's job in a workdir that no other process can use meanwhile."""
    module = importlib.import_module(choose(JOBS, config.job, "job"))
    # Not above: they load JAX, NumPy and TensorBoard's writer, which --help does without.
    from phash_jax.compilation import kept_programs
    from phash_jax.workdir import locked

    with locked(workdir), kept_programs():
        return module.run(config, workdir)


def run_job_together(config: ml_collections.ConfigDict, workdir: Path) -> str:
    """As ``run_job``, in one of several processes; the first holds the workdir for all."""
    choose(JOBS, config.job, "job")
    if config.job not in DISTRIBUTED_JOBS:
        raise ValueError(
            f"job {config.job} runs in one process only: leave out --distributed "
            f"(it is for {', '.join(DISTRIBUTED_JOBS)})"
        )
    import jax

    from phash_jax import processes
    from phash_jax.compilation import kept_programs

    values = flags.FLAGS
    processes.join(
        coordinator=values.coordinator,
        num_processes=values.num_processes,
        process_id=values.process_id,
        cpu_devices=config.train.cpu_devices,
    )
    try:
        if processes.is_first():
            summary = run_job(config, workdir)
        else:
            with kept_programs():
                summary = importlib.import_module(JOBS[config.job]).run(config, workdir)
    except jax.errors.JaxRuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise processes.lost(error) from error
    except StopRequestedError:
        processes.leave()
        raise
    processes.leave()
    return summary


def main(argv: list[str]) -> None:
    """Runs the config's job; an error that the user can fix ends in one line and exit code 1."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    try:
        config = flags.FLAGS.config
        # In place of a file that was not found stands an object that raises when it is used.
        getattr(config, "job", None)
        if not isinstance(config, ml_collections.ConfigDict) or not {"job", "runs"} <= set(config):
            _fail(
                "get_config in the --config file must return the config of configs/default.py, "
                "with other values"
            )
    except OSError as error:  # a file that was not found
        reason = str(error).split("failure to load: ")[-1].splitlines()[-1].strip()
        _fail(f"the --config file cannot be loaded: {reason}")
    if not flags.FLAGS.workdir:
        _fail("--workdir is empty: name a folder for the results")
    run = run_job_together if flags.FLAGS.distributed else run_job
    of_many = ("coordinator", "num_processes", "process_id")
    given = [f"--{name}" for name in of_many if flags.FLAGS[name].present]
    if given and not flags.FLAGS.distributed:
        _fail(f"{', '.join(given)} is for several processes only: add --distributed")
    try:
        check_fields_reach_a_run(
            flags.FLAGS.config, config_flags.get_override_values(flags.FLAGS["config"])
        )
        print_any_letter()
        with stop_on_signals():
            print(run(flags.FLAGS.config, Path(flags.FLAGS.workdir).expanduser()))
    except StopRequestedError as stop:
        sys.stdout.flush()
        print(
            f"stopped by {stop}: start the same command again to resume here",
            file=sys.stderr,
            flush=True,
        )
        # At once: a thread that compiles does not stop, and crashes where Python is being ended.
        os._exit(stop.exit_code)
    except Exception as error:
        # Asked for by --verbosity=1.
        logging.debug("where the error came from:", exc_info=True)
        if is_disk_full(error):
            _fail_on_full_disk(flags.FLAGS.workdir)
        if is_out_of_memory(error):
            reason = (str(error).splitlines() or ["no details are given"])[0]
            _fail(
                f"there is not enough memory ({reason}): use fewer or smaller images, smaller "
                "batches (train.batch_size, test_batch_size), or fewer seeds at once"
            )
        if isinstance(error, (OSError, ValueError, UserError)):
            _fail(error)
        if not flags.FLAGS.distributed:
            raise
        traceback.print_exc()
        _leave_the_others()


def check_fields_reach_a_run(config: ml_collections.ConfigDict, given: Iterable[str]) -> None:
    """ValueError for a field of the command line that would have no effect.

    Every run overrides it, the job does not read it, or it needs another field.

    Args:
        config: with named runs, or none.
        given: dotted names of the fields that the command line sets.
    """
    chosen = [name for name in config.runs if name in names(config.only) or not config.only]
    for field in given if chosen else ():
        if all(_sets(config.runs[name], field.split(".")) for name in chosen):
            raise ValueError(
                f"--config.{field} has no effect: overridden by {', '.join(chosen)} of "
                f"{config.name}. Set it for one run, --config.runs.{chosen[0]}.{field}=VALUE, or "
                "choose another config"
            )
    for field in given:
        if not is_read(field, job=config.job):
            raise ValueError(f"--config.{field} has no effect: job {config.job} does not read it")
        if field not in READ_WITH:
            continue
        other, readers = READ_WITH[field]
        of_runs = [config.runs[name] for name in chosen] or [config]
        value = operator.attrgetter(other)
        values = {value(run if _sets(run, other.split(".")) else config) for run in of_runs}
        if values.isdisjoint(readers) if readers else not any(values):
            now = ", ".join(sorted(values)) or "(none)"
            raise ValueError(
                f"--config.{field} has no effect with {other}={now}: add "
                f"--config.{other}={' or '.join(readers) or 'VALUE'}, or leave it out"
            )
    if "data.image_size" in given and config.data.name == "file":
        # What it imports takes a second.
        from phash_jax.data.files import holds_arrays

        if holds_arrays(config.data.path):
            raise ValueError(
                f"--config.data.image_size has no effect: {config.data.path} holds arrays, whose "
                "images keep their size. Leave it out"
            )


def _sets(overrides: ml_collections.ConfigDict, field: list[str]) -> bool:
    first, *rest = field
    return first in overrides and (not rest or _sets(overrides[first], rest))


def _fail_on_full_disk(workdir: str) -> None:
    print(
        f"error: no disk space is left for --workdir={workdir}: free some and start the same "
        "command again; it resumes from what was saved",
        file=sys.stderr,
        flush=True,
    )
    # Without the exit hooks of libraries, which would try to write the same again.
    os._exit(1)


def _fail(error: Exception | str) -> None:
    print(f"error: {error}", file=sys.stderr, flush=True)
    if flags.FLAGS.is_parsed() and flags.FLAGS.distributed:
        _leave_the_others()
    sys.exit(1)


def _leave_the_others() -> None:
    """Ends one of several processes; exiting, JAX would wait for those that wait for this one."""
    sys.stderr.flush()
    os._exit(1)


def _parse_flags(argv: list[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:  # its last line is the reason, after a traceback
        _fail(str(error).strip().splitlines()[-1].removeprefix("ValueError: "))
    except (AttributeError, KeyError) as error:  # what ml_collections raises for a misspelt field
        while isinstance(error.args[0], Exception):
            error = error.args[0]
        if isinstance(error, AttributeError) and error.name == "get_config":
            _fail("the --config file must have a function get_config that returns the config")
        message = "unknown config field " + ". ".join(error.args[0].split("\n"))
        if any(argument.startswith("--config.runs.") for argument in argv):
            message += " (of a run in config.runs, only fields that it sets already can be changed)"
        _fail(message)
    except (ImportError, NameError, SyntaxError) as error:
        _fail(f"the --config file cannot be loaded: {error}")
    except (OSError, TypeError, ValueError) as error:
        _fail(error)


if __name__ == "__main__":
    # Before there are threads, each of which would have a heap of its own.
    keep_freed_memory()
    logging.set_verbosity(logging.WARNING)
    app.run(main, flags_parser=_parse_flags)
