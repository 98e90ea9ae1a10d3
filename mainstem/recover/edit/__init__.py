"""Makes a new version of a dead letter: its record as JSON, changed by a person, checked, appended to its topic."""

from mainstem.recover.edit.appending import append, check_editable, edited_record
from mainstem.recover.edit.difference import Difference, differences
from mainstem.recover.edit.document import as_document, read_document, write_document
from mainstem.recover.edit.form import Form, form_of
from mainstem.recover.edit.setting import Setting, parse_setting

__all__ = [
    "Difference",
    "Form",
    "Setting",
    "append",
    "as_document",
    "check_editable",
    "differences",
    "edited_record",
    "form_of",
    "parse_setting",
    "read_document",
    "write_document",
]
