"""Options are read from what was typed, checked, and told apart from what was not meant."""

import subprocess
import sys
from pathlib import Path

import pytest

from events.options import OPTIONS
from simulator import cli
from simulator.commands.options import SIMULATE, given
from simulator.commands.simulate import _scenario
from simulator.failure import UsageFailure
from simulator.stack_options import StackOptions, cautions


def test_defaults_are_those_of_the_table() -> None:
    """Where nothing is typed every option has its default, durations as text, counts as numbers."""
    nothing = given({})
    assert (nothing.kafka, nothing.namespace, nothing.guarantee) == ("embedded", "payments", "exactly-once")
    assert (nothing.partitions, nothing.processors, nothing.gateways) == (4, 1, 1)
    assert (nothing.key_ttl, nothing.answer_timeout, nothing.duration_s) == ("24h", "20s", 30.0)
    assert (nothing.dir, nothing.breaks, nothing.json) == (Path(".payonce"), (), False)


def test_a_command_may_have_defaults_of_its_own() -> None:
    """What is typed wins over the command's default, which wins over the table's."""
    assert given({}, {"processors": "2"}).processors == 2
    assert given({"processors": "3"}, {"processors": "2"}).processors == 3


def test_breaks_may_be_repeated_or_joined() -> None:
    """`--break a --break b` and PAYONCE_BREAK=a,b are the same."""
    apart = given({"break": ["no-fingerprint", "lru-keys"]}).breaks
    assert apart == given({"break": ["no-fingerprint,lru-keys"]}).breaks == ("no-fingerprint", "lru-keys")


@pytest.mark.parametrize(
    ("option", "text", "word"),
    [
        ("partitions", "0", "--partitions"),
        ("partitions", "four", "'four'"),
        ("gateways", "0", "--gateways"),
        ("processors", "-1", "--processors"),
        ("processors", "1000", "0 to 64"),
        ("partitions", "1000000", "--partitions"),
        ("merchants", "999999999", "--merchants"),
        ("guarantee", "twice", "exactly-once"),
        ("in-flight", "later", "conflict"),
        ("key-ttl", "1 day", "--key-ttl"),
        ("duration", "0s", "--duration"),
        ("rate", "nan", "--rate"),
        ("rate", "0", "--rate"),
        ("namespace", "a b", "--namespace: 'a b'"),
        ("kafka", "somewhere", "--kafka: 'somewhere'"),
        ("kafka", "one:9092,two", "'two' is neither embedded nor docker"),
        ("listen", "8080", "--listen: '8080'"),
        ("ledger-url", "mysql://x/y", "--ledger-url: "),
        ("enforcement", "lax", "--enforcement: "),
        ("enforcement", "strict,pay=optional", "--enforcement: 'pay=optional'"),
        ("dir", "", "--dir: "),
        ("kafka-security", "/nowhere/client.properties", "/nowhere/client.properties"),
        ("api-keys", "/nowhere/keys.json", "/nowhere/keys.json"),
        ("break", ["everything"], "'everything'"),
    ],
)
def test_a_value_that_cannot_be_meant_is_one_sentence(option: str, text: object, word: str) -> None:
    """The sentence names the option or the value, ends with a full stop, and is usage: exit code 2."""
    with pytest.raises(UsageFailure) as failure:
        given({option: text})
    sentence = str(failure.value)
    assert word in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert failure.value.exit_code == 2


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("ledger-url", "sqlite:///ledger.db"),
        ("ledger-url", "postgresql+psycopg://payonce@localhost/payonce"),
        ("enforcement", "strict,refund.create=optional"),
        ("kafka", "one:9092, two:9092"),
        ("processors", "0"),
    ],
)
def test_a_value_that_services_understand_is_let_through(option: str, text: str) -> None:
    """The command line refuses nothing that a service would take."""
    assert str(getattr(given({option: text}), option.replace("-", "_"))) == text


ALL_COMMANDS = [
    ["demo"],
    ["up"],
    ["simulate"],
    ["compare"],
    ["audit"],
    ["gateway"],
    ["processor"],
    ["ledger"],
    ["keys", "show"],
    ["events", "tail"],
]


@pytest.mark.parametrize("command", ALL_COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` says what the command does and shows one example that begins with that command."""
    assert cli.run([*command, "--help"]) == 0
    assert f"Example: payonce {' '.join(command)}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("command", "example"), [([], "demo"), (["keys"], "keys show"), (["events"], "events tail")])
def test_every_group_of_commands_shows_an_example(
    command: list[str], example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever asks for the help of a group sees one of its commands at work."""
    assert cli.run([*command, "--help"]) == 0
    assert f"Example: payonce {example}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", ["demo", "compare"])
def test_what_runs_under_each_guarantee_takes_none(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A guarantee that would be ignored is refused."""
    assert cli.run([command, "--guarantee", "exactly-once"]) == 2
    assert capsys.readouterr().err.startswith("No such option: --guarantee")


def test_up_takes_every_option_of_the_stack(capsys: pytest.CaptureFixture[str]) -> None:
    """Each common option that is not about load is an option of `up`, with its environment variable."""
    assert cli.run(["up", "--help"]) == 0
    shown = capsys.readouterr().out
    for option in OPTIONS.values():
        if option.name not in SIMULATE:
            assert f"--{option.name} " in shown
            assert option.environment in shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["up", "--partitons", "3"], "No such option: --partitons"),
        (["up", "--partitions"], "Option '--partitions' requires an argument"),
        (["up", "extra"], "Got unexpected extra argument(s) (extra)"),
        (["pay"], "No such command 'pay'"),
        (["keys", "show"], "Missing argument 'KEY'"),
        (["gateway"], "One gateway alone needs --kafka HOST:PORT"),
        (["gateway", "--kafka", "127.0.0.1:1"], "One gateway alone needs --api-keys FILE"),
        (["up", "--api-keys", "/nowhere"], "--api-keys: there is no file /nowhere"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No box, no traceback: one line on stderr, nothing on stdout."""
    assert cli.run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(sentence)
    assert err.count("\n") == 1


def test_an_unknown_variable_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A typo in the environment is refused by its name, and the right name is offered."""
    monkeypatch.setenv("PAYONCE_PARTITONS", "3")
    assert cli.run(["up"]) == 2
    assert capsys.readouterr().err == (
        "The environment variable PAYONCE_PARTITONS is not an option of payonce; did you mean PAYONCE_PARTITIONS?\n"
    )


def test_the_environment_is_read_like_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong value in a variable gets the same sentence, and the command line wins over a variable."""
    monkeypatch.setenv("PAYONCE_PARTITIONS", "none")
    assert cli.run(["processor"]) == 2
    assert "--partitions must be a whole number" in capsys.readouterr().err
    assert cli.run(["processor", "--partitions", "2"]) == 2
    assert "One processor alone needs --kafka" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(28, "No space left on device", "/data/x"), "The disk is full: /data/x\n"),
        (PermissionError(13, "Permission denied", "/data"), "The system refused /data: Permission denied.\n"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(
    error: OSError, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk or a missing permission is told with its path and without a traceback."""

    def refuse(**_: object) -> int:
        raise error

    monkeypatch.setattr(cli, "app", refuse)
    assert cli.run([]) == 1
    assert capsys.readouterr().err == sentence


def test_the_command_line_imports_nothing_slow() -> None:
    """`payonce --help` must not wait for Kafka clients, HTTP clients, pydantic or the database."""
    program = (
        "import sys, simulator.cli; "
        "print([name for name in ('aiokafka', 'httpx', 'pydantic', 'sqlalchemy', 'kio', 'rich') "
        "if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`payonce --version` is the name and the version."""
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == "payonce 0.1.0\n"


def test_the_scenario_decides_what_was_not_typed() -> None:
    """What is said on the command line comes before the file, and only that."""
    file = _scenario(given({}), "flash-sale")
    assert (file.load.highest_rate, file.duration_s, file.system.processors) == (200.0, 30.0, 2)
    said = {"rate": "10", "duration": "3s", "processors": "1", "guarantee": "deduplicated", "merchants": "3"}
    typed = _scenario(given({**said, "break": ("lru-keys",), "key-ttl": "2s"}), "flash-sale")
    assert (typed.load.highest_rate, typed.duration_s, typed.load.merchants.count) == (10.0, 3.0, 3)
    assert (typed.system.processors, typed.system.guarantee, typed.system.gateways) == (1, "deduplicated", 2)
    assert (typed.system.breaks, typed.system.key_ttl) == (("lru-keys",), "2s")


def test_a_window_shorter_than_the_doubt_is_cautioned() -> None:
    """Keys that die before the last copy of their command is refused may charge again: allowed, and said."""
    assert not cautions(StackOptions())
    assert not cautions(StackOptions(key_ttl="65s", answer_timeout="5s"))
    (sentence,) = cautions(StackOptions(key_ttl="64s", answer_timeout="5s"))
    assert sentence.startswith("Keys live 64s, shorter than the 65 s in which a late copy")
