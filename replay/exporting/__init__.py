"""Export of a log, its judgments and its rankings to the formats that other tools read."""

from replay.exporting.letor import FEATURES, export_letor, features
from replay.exporting.quepid import export_quepid
from replay.exporting.rank_eval import export_rank_eval, rank_eval_body
from replay.exporting.rre import export_rre
from replay.exporting.trec import export_qrels, export_run, export_topics
from replay.exporting.ubi import UbiExport, export_ubi

__all__ = [
    "FEATURES",
    "UbiExport",
    "export_letor",
    "export_qrels",
    "export_quepid",
    "export_rank_eval",
    "export_rre",
    "export_run",
    "export_topics",
    "export_ubi",
    "features",
    "rank_eval_body",
]
