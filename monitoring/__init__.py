"""Ranking in production: what is watched, and how a change is rolled out."""
