"""Desired cluster state as files, and how to get there: plan, apply, roll back, migrate an index."""

from index_templates.desired import Resource, desired_state
from index_templates.export import export
from index_templates.index import IndexStatus, ensure_index, family_indices, index_status
from index_templates.live import read_live, read_owned
from index_templates.migration import Migration, open_migration, read_migrations
from index_templates.plan import Step, apply_steps, plan_steps, removal_steps
from index_templates.rollback import deploy, plan_rollback
from index_templates.shadow import Overlap, read_overlaps

__all__ = [
    "IndexStatus",
    "Migration",
    "Overlap",
    "Resource",
    "Step",
    "apply_steps",
    "deploy",
    "desired_state",
    "ensure_index",
    "export",
    "family_indices",
    "index_status",
    "open_migration",
    "plan_rollback",
    "plan_steps",
    "read_live",
    "read_migrations",
    "read_overlaps",
    "read_owned",
    "removal_steps",
]
