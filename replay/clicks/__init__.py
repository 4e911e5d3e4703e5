"""Judgments from clicks: click models, examination probabilities, grades; and grades that were given."""

from __future__ import annotations

from replay.clicks.cascade import Cascade, fit_cascade
from replay.clicks.coec import Coec, fit_coec
from replay.clicks.dbn import Dbn, fit_dbn
from replay.clicks.exam_file import ExamProbs, read_exam_probs, write_exam_probs
from replay.clicks.exam_probs import ExamProb, exam_probs
from replay.clicks.examination import fit_examination
from replay.clicks.grades import MODELS, ClickGrades, Model, gather, grades_from_clicks
from replay.clicks.pages import Pages, read_pages
from replay.clicks.position_based import Cells, Impressions, PositionBased, fit_position_based
from replay.clicks.ratings import Rated, read_photo_labels, read_ratings

__all__ = [
    "MODELS",
    "Cascade",
    "Cells",
    "ClickGrades",
    "Coec",
    "Dbn",
    "ExamProb",
    "ExamProbs",
    "Impressions",
    "Model",
    "Pages",
    "PositionBased",
    "Rated",
    "exam_probs",
    "fit_cascade",
    "fit_coec",
    "fit_dbn",
    "fit_examination",
    "fit_position_based",
    "gather",
    "grades_from_clicks",
    "read_exam_probs",
    "read_pages",
    "read_photo_labels",
    "read_ratings",
    "write_exam_probs",
]
