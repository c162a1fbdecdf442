"""What the site's scripts say in another language: of the catalogue of the exercises, what these scripts need."""

from __future__ import annotations

from pathlib import Path

from babel.messages.extract import extract_from_file

from bn_exercises.translation import ENGLISH, _, spoken


def words(*scripts: Path) -> dict[str, str]:
    """The translation of each message in `scripts`; none in English, which is what they say by themselves."""
    if spoken() == ENGLISH:
        return {}
    found = [
        message for script in sorted(scripts) for _line, message, *_rest in extract_from_file("javascript", script)
    ]
    return {message: _(message) for message in found if isinstance(message, str)}
