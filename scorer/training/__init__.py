"""Labels and photos -> a scorer: `train` writes a scorer folder, `evaluate` says what it is worth.

run.py         one training run
compact.py     the compact tower                    frozen.py     a head on any open_clip tower
labels.py      pages of photos with scores          measures.py   OPA and its interval
degrade.py     worse copies of a photo              teacher.py    the baseline on image statistics
"""

from __future__ import annotations
