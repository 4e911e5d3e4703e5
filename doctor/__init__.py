"""An installation looked at: what is there, what is wrong, what to type next. Changes nothing."""

from doctor.examine import CHECKS, examine
from doctor.finding import AREAS, Area, Finding, State
from doctor.options import Options

__all__ = ["AREAS", "CHECKS", "Area", "Finding", "Options", "State", "examine"]
