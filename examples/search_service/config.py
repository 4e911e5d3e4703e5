"""What the service is told by its environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Config(BaseSettings):
    """Where Elasticsearch is and how to log in stands in the toolkit's own variables (docs/security.md)."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    profile: str = Field(default="additive", validation_alias="SERVICE_PROFILE")  # a published name
    captures: Path = Field(default=Path("captures"), validation_alias="SERVICE_CAPTURES")
    sample: float = Field(
        default=1.0, ge=0, le=1, validation_alias="SERVICE_SAMPLE"
    )  # share of users captured
    refresh_s: float = Field(default=5.0, ge=0, validation_alias="SERVICE_REFRESH_S")  # age of what is live
    flush_s: float = Field(default=10.0, gt=0, validation_alias="SERVICE_FLUSH_S")  # until events are on disk
