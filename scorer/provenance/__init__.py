"""Was a photo made by a generator? What its file declares, and a classifier where there is one.

containers.py   metadata blocks of JPEG, PNG, WebP      jumbf.py      C2PA assertions
generators.py   marks that generators leave             evidence.py   what it all says, as a probability
detect.py       one answer per photo
"""

from __future__ import annotations

from scorer.provenance.detect import Classifier, ai_generated, load_classifier, more_suspicious
from scorer.provenance.evidence import SOURCE_TYPES, Evidence

__all__ = ["SOURCE_TYPES", "Classifier", "Evidence", "ai_generated", "load_classifier", "more_suspicious"]
