"""Options that several load tests take."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer


class ShapeName(StrEnum):
    """How the rate of searches changes over a round."""

    logged = "logged"
    soak = "soak"
    ramp = "ramp"
    step = "step"
    spike = "spike"
    knee = "knee"


class RatedShape(StrEnum):
    """How the rate of what has no log changes over a round."""

    soak = "soak"
    ramp = "ramp"
    step = "step"
    spike = "spike"
    knee = "knee"


Captures = Annotated[Path, typer.Argument(help="Capture folder, as of `replay record`.", metavar="CAPTURES")]
Contender = Annotated[str, typer.Option("--contender", help="The profile that is judged; as --baseline.")]
PhotoFolder = Annotated[
    Path,
    typer.Argument(exists=True, file_okay=False, help="Folder of JPEG, PNG or WebP files.", metavar="PHOTOS"),
]
Rounds = Annotated[int, typer.Option("--rounds", min=1, help="Rounds; intervals need five.")]
RoundsOfEach = Annotated[
    int, typer.Option("--rounds", min=1, help="Of each side, in turns; intervals need five.")
]
SearchShape = Annotated[
    ShapeName, typer.Option("--shape", help="logged: the log's arrivals. Others follow --rate.")
]
Shape = Annotated[RatedShape, typer.Option("--shape", help="How the rate changes over a round.")]
SpeedUp = Annotated[float, typer.Option("--speed-up", help="With logged: 60 replays an hour in a minute.")]
SearchRate = Annotated[
    float, typer.Option("--rate", min=0.01, help="Searches/s of soak; what other shapes go by.")
]
Rate = Annotated[float, typer.Option("--rate", min=0.01, help="Per second of soak; what other shapes go by.")]
Seconds = Annotated[float, typer.Option("--seconds", min=0.1, help="Of a round, unless --shape logged.")]
Users = Annotated[
    int | None,
    typer.Option("--users", min=1, help="A closed workload of so many users: they wait for answers."),
]
Think = Annotated[
    float, typer.Option("--think", min=0, help="With --users: seconds from an answer to the next request.")
]
Connections = Annotated[
    int, typer.Option("--connections", min=1, help="Unanswered requests at once; more of them wait.")
]
Timeout = Annotated[
    float, typer.Option("--timeout", min=0.1, help="Seconds until an answer counts as a timeout.")
]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Processes that send, on this machine.")]
WorkerCommands = Annotated[
    list[str] | None,
    typer.Option(
        "--worker",
        metavar="COMMAND",
        help="One more process that sends, elsewhere: `ssh HOST rank-cli loadtest worker`. May be repeated.",
    ),
]
SloFile = Annotated[
    Path | None, typer.Option("--slo", help="YAML file of limits; exit 2 where one does not hold.")
]
Html = Annotated[Path | None, typer.Option("--html", help="Write one self-contained page here.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write the result here, for `loadtest report`.")]
AllowRemote = Annotated[
    bool, typer.Option("--allow-remote", help="Send the load to engines on another machine too.")
]
Topic = Annotated[
    str, typer.Option("--topic", help="Kafka topic that the `ingest stream` beside this reads.")
]
Like = Annotated[
    str | None,
    typer.Option("--like", help="Index whose items the messages are made of; --index by default."),
]
Sample = Annotated[
    float,
    typer.Option("--sample", min=0, max=1, help="Share of the messages that searches look for; 0 for none."),
]
Within = Annotated[
    float,
    typer.Option(
        "--searchable-within", min=0.5, help="Seconds after a round until a message counts as lost."
    ),
]
KeepItems = Annotated[
    bool, typer.Option("--keep-items", help="Leave the load's items in the index; deleted by default.")
]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Photos in one request.")]
ModelName = Annotated[str, typer.Option("--model", help="Name of the model on Triton.")]


def check_senders(workers: int, commands: list[str] | None) -> tuple[str, ...]:
    """The commands, if anybody sends at all.

    Raises:
        InputError: nobody does.
    """
    from ranking.errors import InputError

    if not workers and not commands:
        raise InputError("--workers 0 leaves nobody to send", hint="give a --worker COMMAND with it")
    return tuple(commands or ())


def check_mode(users: int | None, shape: StrEnum, *, default: StrEnum) -> Literal["open", "closed"]:
    """Which workload --users and --shape make.

    Raises:
        InputError: both are given, and a closed workload has no shape.
    """
    from ranking.errors import InputError

    if users is None:
        return "open"
    if shape is not default:
        raise InputError(
            f"--shape {shape.value} is for an open workload, and --users makes a closed one",
            hint="leave one of the two out",
        )
    return "closed"
