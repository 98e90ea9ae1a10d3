"""Finds secrets that are written into a file: git keeps them for ever."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from mainstem.project import shape
from mainstem.project.document import Region
from mainstem.project.findings import Finding, error, warning
from mainstem.project.interpolate import default_in, is_reference
from mainstem.sdk.secret import Secret


def secrets_in_clear(model: type[BaseModel], written: Any, region: Region) -> list[Finding]:
    """Findings for each text, as written in the file, that stands where the model has a Secret and is no reference."""
    findings = []
    for loc, annotation, value in shape.leaves(model, written):
        if not loc or not isinstance(value, str) or not value or not shape.mentions(annotation, Secret):
            continue
        place, name = region.at(*loc), next(str(step) for step in reversed(loc) if isinstance(step, str))
        fix = f"write `${{secret:{name}}}`, and put the value where secrets are kept"
        if not is_reference(value):
            findings.append(error(place, f"the secret `{name}` is written in clear", fix=fix))
        elif default_in(value):
            findings.append(warning(place, f"the secret `{name}` has a default that is written in clear", fix=fix))
    return findings
