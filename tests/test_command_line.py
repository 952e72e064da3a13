"""How commands end, and what they can print."""

import io
import sys

import pytest

from phash_jax.command_line import ended_in_one_line


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ValueError("a is not b"), 1, "error: a is not b\n"),
        (FileNotFoundError("no file"), 1, "error: no file\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
    ],
)
def test_commands_end_in_one_line(capsys, error, code, said):
    with pytest.raises(SystemExit) as ended, ended_in_one_line():
        raise error
    assert (ended.value.code, capsys.readouterr().err) == (code, said)


def test_a_terminal_without_the_letters_is_given_escapes(monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    with ended_in_one_line():
        print("\N{SNOWMAN}", flush=True)
    assert terminal.buffer.getvalue() == b"\\u2603\n"
