"""Where the engines are, and how to log in to them.

The environment wins (`ELASTICSEARCH_URL`, `TRITON_URL`, `KAFKA_BOOTSTRAP`); where it is silent, the
local stack's own record (`.rank/stack.json`, written by `rank-cli stack up`) answers.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ranking.errors import ConfigError, ServerError

ENGINE_KEYS = {
    "Elasticsearch": "elasticsearch_url",
    "Triton": "triton_url",
    "Kafka": "kafka_bootstrap",
}


class Settings(BaseSettings):
    """Settings of one process, read from the environment once."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    elasticsearch_url: str | None = Field(default=None, validation_alias="ELASTICSEARCH_URL")
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
        """
        key = ENGINE_KEYS[engine]
        found = getattr(self, key) or self.local_stack().get(key)
        if not found:
            raise ServerError(
                engine,
                "no address is known",
                hint=f"start the local engines with `rank-cli stack up`, or set {key.upper()}",
            )
        return str(found)

    def local_stack(self) -> dict[str, Any]:
        """What `rank-cli stack up` wrote about the engines it started; empty where there is none."""
        path = self.state_dir / "stack.json"
        try:
            record = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except (json.JSONDecodeError, OSError) as e:
            raise ConfigError(path, [str(e)], hint="delete it and run `rank-cli stack up` again") from e
        return record if isinstance(record, dict) else {}


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Settings of this process. Tests clear the cache with `get_settings.cache_clear()`."""
    try:
        return Settings()
    except ValidationError as e:
        problems = [f"{'.'.join(map(str, err['loc']))}: {err['msg']}" for err in e.errors()]
        raise ConfigError("environment", problems) from e
