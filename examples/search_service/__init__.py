"""A search service over HTTP that serves a published profile and captures what it serves."""

from examples.search_service.app import create_app

__all__ = ["create_app"]
