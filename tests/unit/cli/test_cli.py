"""The command line: every command is told, its options speak as the settings do, errors are one line."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from greenline.cli import app
from greenline.settings import Settings

run = CliRunner().invoke


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("command", ["serve", "emulator", "doctor", "settings", "database", "workspace", "key"])
def test_the_help_tells_every_command(command: str) -> None:
    assert re.search(rf"^  {command}\b", run(app, ["--help"]).output, re.MULTILINE)
    assert run(app, [command, "--help"]).exit_code == 0


@pytest.mark.parametrize("setting", ["host", "port", "data_dir"])
def test_an_option_is_explained_as_its_setting(setting: str) -> None:
    explanation = Settings.model_fields[setting].description
    assert explanation is not None
    assert explanation in words(run(app, ["serve", "--help"]).output)


def test_settings_prints_every_variable() -> None:
    output = run(app, ["settings"]).output
    assert all(f"GREENLINE_{name.upper()}" in output for name in Settings.model_fields)


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENLINE_PORT", "many")
    result = run(app, ["serve"])
    assert result.exit_code == 2
    assert "GREENLINE_PORT" in result.output


def test_a_setting_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENLINE_LLM_MAP", "{'*': 'offline'}")
    monkeypatch.setenv("GREENLINE_END_OF_TURN_SECONDS", '{"normal": 60}')
    result = run(app, ["doctor"])
    assert result.exit_code == 2
    assert "greenline: GREENLINE_LLM_MAP: is no JSON object" in result.output
    assert "greenline: GREENLINE_END_OF_TURN_SECONDS (normal): " in result.output


def test_an_error_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "greenline", "key", "list", "--data-dir", str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"greenline: .+\n", done.stderr)


def test_the_emulator_tells_of_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "greenline", "emulator", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"greenline: The emulator can't listen on 127\.0\.0\.1:\d+: .+ --port\.\n", done.stderr)


def test_the_emulator_tells_of_a_port_that_there_is_not() -> None:
    command = [sys.executable, "-m", "greenline", "emulator", "--port", "99999"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        started = process.stdout.readline()
        process.kill()
        assert process.stderr is not None
        assert (started, "99999: " in process.stderr.read()) == ("", True)


def test_the_version_is_that_of_the_package() -> None:
    assert run(app, ["--version"]).output.strip() == f"greenline {version('greenline')}"


def test_the_help_loads_nothing_heavy() -> None:
    heavy = ("fastapi", "asyncpg", "openai", "nicegui")
    program = f"import sys, greenline.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
