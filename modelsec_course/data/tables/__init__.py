"""Tables: what their columns are, and the rules that every real row keeps."""

from modelsec_course.data.tables.schema import Feature, Schema
from modelsec_course.data.tables.terms import Columns, Halfspace, Relation, Term, count, feature, near, safe_divide

__all__ = ["Columns", "Feature", "Halfspace", "Relation", "Schema", "Term", "count", "feature", "near", "safe_divide"]
