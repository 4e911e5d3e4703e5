"""Secrets: where they come from, and how they are kept out of what is printed.

A secret NAME is taken from the environment (`NAME`), from a file (`NAME_FILE`, as Docker and Kubernetes mount
them), or from the system's keyring (service `RANK_KEYRING`, user `NAME`; needs `rank-toolkit[keyring]`), in
that order. A command line shows its words to everybody on the machine, so no option takes one.

`hide` is the last net, not the first: values are kept in `SecretStr` and addresses shown by `without_login`;
whatever the command line prints of an error goes through it all the same.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from ranking.errors import ConfigError

KEYRING: Final = "RANK_KEYRING"  # the service's name in the keyring; unset: the keyring is not asked
MOST_BYTES: Final = 65_536  # of a file that holds a secret
SHORTEST: Final = 4  # characters; a shorter value would hide half of every message
_NAMES: Final = re.compile(r"(?:PASSWORD|SECRET|TOKEN|API_KEY|APIKEY|CREDENTIALS)(?:_FILE)?$")
_ADDRESSES: Final = re.compile(r"(?:URL|URI|BOOTSTRAP|DSN)$")


def secret(name: str) -> SecretStr | None:
    """The secret called `name`; None where nobody holds one.

    Raises:
        ConfigError: it is set twice, its file cannot be read or is empty, or the keyring refuses.
    """
    value, file = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if value and file:
        raise ConfigError("environment", [f"{name} and {name}_FILE are both set; leave one out"])
    if value:
        return SecretStr(value)
    if file:
        return SecretStr(read_secret(Path(file), f"{name}_FILE"))
    service = os.environ.get(KEYRING)
    return _from_keyring(service, name) if service else None


def read_secret(path: Path, variable: str) -> str:
    """What a file holds, without the line break at its end.

    Args:
        path: the file.
        variable: what names it, for the sentence.

    Raises:
        ConfigError: it cannot be read, is empty, longer than 64 kB, or holds several lines.
    """
    problem = None
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode().rstrip("\r\n")
    except OSError as e:
        problem = f"{variable} names a file that cannot be read ({e.strerror})"
    except UnicodeDecodeError:
        problem = f"{variable} names a file that is no text"
    else:
        if len(data) > MOST_BYTES:
            problem = f"{variable} names a file of more than {MOST_BYTES // 1024} kB"
        elif not text:
            problem = f"{variable} names an empty file"
        elif "\n" in text or "\0" in text:
            problem = f"{variable} names a file of several lines"
    if problem:
        raise ConfigError(path, [problem], hint="the file holds the secret alone, on one line")
    return text


def known_secrets() -> set[str]:
    """Every secret that this process may have been given: values, files' contents, logins in addresses."""
    found: set[str] = set()
    for name, value in os.environ.items():
        if _NAMES.search(name):
            if name.endswith("_FILE"):
                try:
                    found.add(read_secret(Path(value), name))
                except ConfigError:
                    continue
            else:
                found.add(value)
        if _ADDRESSES.search(name):
            found |= {word for address in value.split(",") for word in _passwords(address)}
    return {value for value in found if len(value) >= SHORTEST}


def hide(text: str) -> str:
    """The text with every known secret as ***, and with the password of any address."""
    for value in sorted(known_secrets(), key=len, reverse=True):
        text = text.replace(value, "***")
    return re.sub(r"(?<=://)([^\s/:@'\"]*):([^\s/@'\"]+)@", r"\1:***@", text)


def _passwords(address: str) -> set[str]:
    try:
        password = urlsplit(address.strip()).password
    except ValueError:
        return set()
    return {password, unquote(password)} if password else set()


def _from_keyring(service: str, name: str) -> SecretStr | None:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as e:
        problem = f"{KEYRING} is set, and the keyring package is missing"
        raise ConfigError("environment", [problem], hint="pip install 'rank-toolkit[keyring]'") from e
    try:
        found = keyring.get_password(service, name)
    except KeyringError as e:
        hint = f"unlock it, or set {name}_FILE and leave {KEYRING} out"
        raise ConfigError("keyring", [f"cannot be asked for {name}: {e}"], hint=hint) from e
    return SecretStr(found) if found else None


__all__ = ["KEYRING", "hide", "known_secrets", "read_secret", "secret"]
