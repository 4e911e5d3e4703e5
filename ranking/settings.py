"""Where the engines are, and how to log in to them.

The environment wins (`ELASTICSEARCH_URL`, `TRITON_URL`, `KAFKA_BOOTSTRAP`); where it is silent, the
local stack's own record (`.rank/stack.json`, written by `rank-cli stack up`) answers. The password of a
local secure cluster is in a file of its own, and is sent to no other address. Passwords and keys may also be
in files or in the keyring (`ranking.secret`).
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ranking.errors import ConfigError, ServerError
from ranking.secret import secret

ENGINE_KEYS = {
    "Elasticsearch": "elasticsearch_url",
    "Triton": "triton_url",
    "Kafka": "kafka_bootstrap",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to log in to Elasticsearch: an API key, or user and password, or nothing."""

    api_key: SecretStr | None = None
    user: str | None = None
    password: SecretStr | None = None
    ca_certs: Path | None = None  # PEM; None trusts the system's

    @property
    def given(self) -> bool:
        """Whether there is anything to log in with."""
        return self.api_key is not None or self.user is not None


class Settings(BaseSettings):
    """Settings of one process, read from the environment once."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    elasticsearch_url: str | None = Field(default=None, validation_alias="ELASTICSEARCH_URL")
    elasticsearch_cloud_id: str | None = Field(default=None, validation_alias="ELASTICSEARCH_CLOUD_ID")
    elasticsearch_api_key: SecretStr | None = Field(default=None, validation_alias="ELASTICSEARCH_API_KEY")
    elasticsearch_user: str | None = Field(default=None, validation_alias="ELASTICSEARCH_USER")
    elasticsearch_password: SecretStr | None = Field(default=None, validation_alias="ELASTICSEARCH_PASSWORD")
    elasticsearch_ca_certs: Path | None = Field(default=None, validation_alias="ELASTICSEARCH_CA_CERTS")
    elasticsearch_timeout_s: float = Field(default=30.0, gt=0, validation_alias="ELASTICSEARCH_TIMEOUT_S")
    triton_url: str | None = Field(default=None, validation_alias="TRITON_URL")  # host:port, gRPC
    kafka_bootstrap: str | None = Field(default=None, validation_alias="KAFKA_BOOTSTRAP")
    index: str = Field(default="items", validation_alias="RANK_INDEX")
    publisher: str | None = Field(default=None, validation_alias="RANK_PUBLISHER")  # recorded when publishing
    state_dir: Path = Field(default=Path(".rank"), validation_alias="RANK_STATE_DIR")

    def endpoint(self, engine: str) -> str:
        """Address of `engine` ("Elasticsearch", "Triton" or "Kafka").

        Raises:
            ServerError: neither the environment nor the local stack names one.
            ConfigError: a cloud id is set that is none, or beside an address.
        """
        key = ENGINE_KEYS[engine]
        found = getattr(self, key)
        if engine == "Elasticsearch" and self.elasticsearch_cloud_id:
            if found:
                problem = "ELASTICSEARCH_URL and ELASTICSEARCH_CLOUD_ID are both set; leave one out"
                raise ConfigError("environment", [problem])
            found = cloud_address(self.elasticsearch_cloud_id)
        found = found or self.local_stack().get(key)
        if not found:
            raise ServerError(
                engine,
                "no address is known",
                hint=f"start the local engines with `rank-cli stack up`, or set {key.upper()}",
            )
        return str(found)

    def elasticsearch_login(self) -> Login:
        """The environment's; where that has none and the local stack's cluster is meant, that one's.

        Raises:
            ConfigError: half a login is set, or the local one cannot be read.
        """
        asked = secret("ELASTICSEARCH_API_KEY")  # also where a value is known: set twice is an error
        api_key = self.elasticsearch_api_key or asked
        password = self.elasticsearch_password
        if self.elasticsearch_user or os.environ.get("ELASTICSEARCH_PASSWORD_FILE"):
            asked = secret("ELASTICSEARCH_PASSWORD")
            password = password or asked
        if (self.elasticsearch_user is None) != (password is None):
            problem = "ELASTICSEARCH_USER and ELASTICSEARCH_PASSWORD are set together, or neither"
            hint = "the password may also be in ELASTICSEARCH_PASSWORD_FILE, or in the keyring (RANK_KEYRING)"
            raise ConfigError("environment", [problem], hint=hint)
        login = Login(
            api_key=api_key,
            user=self.elasticsearch_user,
            password=password,
            ca_certs=self.elasticsearch_ca_certs,
        )
        if self.elasticsearch_url or self.elasticsearch_cloud_id:
            return login
        record = self.local_stack()
        if login.ca_certs is None and (ca_certs := record.get("elasticsearch_ca_certs")):
            login = replace(login, ca_certs=Path(ca_certs))
        if not login.given and (credentials := record.get("elasticsearch_credentials")):
            user, password = read_credentials(Path(credentials))
            login = replace(login, user=user, password=password)
        return login

    def local_stack(self) -> dict[str, Any]:
        """What `rank-cli stack up` wrote about the engines it started; empty where there is none."""
        path = self.state_dir / "stack.json"
        try:
            record = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError, OSError) as e:
            raise ConfigError(path, [str(e)], hint="delete it and run `rank-cli stack up` again") from e
        return record if isinstance(record, dict) else {}


def cloud_address(cloud_id: str) -> str:
    """The address of an Elastic Cloud deployment, by its cloud id.

    Raises:
        ConfigError: it is no cloud id.
    """
    from elastic_transport.client_utils import parse_cloud_id

    try:
        found = parse_cloud_id(cloud_id).es_address
    except ValueError:
        found = None
    if found is None or not re.fullmatch(r"[A-Za-z0-9.-]+", found[0]) or not 0 < found[1] < 65_536:
        raise ConfigError(
            "environment",
            ["ELASTICSEARCH_CLOUD_ID is no cloud id"],
            hint="copy it from the deployment's page, name and colon included",
        )
    host, port = found
    return f"https://{host}" if port == 443 else f"https://{host}:{port}"


def read_credentials(path: Path) -> tuple[str, SecretStr]:
    """User and password in a file that `rank-cli stack up --secure` wrote.

    Raises:
        ConfigError: it is gone, belongs to another user, or is not such a file.
    """
    try:
        found = json.loads(path.read_text())
        return str(found["user"]), SecretStr(found["password"])
    except PermissionError as e:
        hint = "ask its owner for an API key (`rank-cli stack api-key`), and set ELASTICSEARCH_API_KEY"
        raise ConfigError(path, ["belongs to another user"], hint=hint) from e
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
        hint = "run `rank-cli stack down elasticsearch`, then `rank-cli stack up elasticsearch --secure`"
        raise ConfigError(path, ["holds no user and password"], hint=hint) from e


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Settings of this process. Tests clear the cache with `get_settings.cache_clear()`."""
    try:
        return Settings()
    except ValidationError as e:
        problems = [f"{'.'.join(map(str, err['loc']))}: {err['msg']}" for err in e.errors()]
        raise ConfigError("environment", problems) from e
