"""Names in the index. Every package that reads or writes a document takes its field names from here."""

from __future__ import annotations

from typing import Final

ITEM_ID: Final = "item_id"  # keyword, unique; its doc values break ties
TITLE: Final = "title"
DESCRIPTION: Final = "description"
CATEGORY: Final = "category"
PRICE: Final = "price"
STATUS: Final = "status"
CREATED_AT: Final = "created_at"  # date, strict_date_optional_time||epoch_millis
CREATED_MS: Final = "created_at.ms"  # the same as a long, for scripts; absent where a date was sent as text
UPDATED_AT: Final = "updated_at"
INGESTED_AT: Final = "ingested_at"  # stamped by the ingest pipeline
PARTIALS: Final = (
    "partials"  # {whole, at, waiting}: versions of fields that changed by themselves; not indexed
)
IMAGE_URL: Final = "image_url"
IMAGE_HASH: Final = "image_hash"  # of the encoded photo; the same photo is the same under any address
IMAGE_SCORE: Final = "image_score"  # float in [0, 1]; absent where unscored
IMAGE_SCORE_VERSION: Final = "image_score_version"
IMAGE_SCORED_AT: Final = "image_scored_at"
IMAGE_SCORE_NEXT: Final = "image_score_next"  # another model's, that no query reads yet
IMAGE_SCORE_PREVIOUS: Final = "image_score_previous"  # the one that was live before, for a rollback
IMAGE_SCORE_FAILED: Final = "image_score_failed"  # {reason, version, at}: why that model could not score it
IMAGE_SCORE_FAILED_VERSION: Final = "image_score_failed.version"
IMAGE_ATTRIBUTES: Final = "image_attributes"  # object of floats; each name says its direction
IMAGE_EMBEDDING: Final = "image_embedding"
IMAGE_EMBEDDING_VERSION: Final = "image_embedding_version"  # which tower made it; others do not compare
AI_GENERATED: Final = "ai_generated"  # {probability, source}
AI_PROBABILITY: Final = "ai_generated.probability"

ON_SALE: Final = "on_sale"
SOLD: Final = "sold"
DELETED: Final = "deleted"
STATUSES: Final = (ON_SALE, SOLD, DELETED)

PLATFORMS: Final = ("web", "ios", "android")
