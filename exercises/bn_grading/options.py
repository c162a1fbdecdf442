"""nbgrader's settings for `nbgrader autograde`: what `bn-grade` does with each. None is left aside without a word.

Those of `Autograde` and `CourseDirectory` are nbgrader's own here, too (`Recorder`, `assignment_app.submitted`). Those
of `Execute` say how a kernel is run, and there is none: the time for a cell is taken from them, what only says how to
talk to a kernel means nothing, and what would change scores is refused.
"""

from typing import Any

from nbgrader.converters import Autograde  # type: ignore[import-untyped]
from nbgrader.preprocessors import Execute  # type: ignore[import-untyped]
from traitlets.config import Config

from bn_grading.autograde import Refused

# As traitlets looks for a setting: the first that has it.
_EXECUTE = ("Execute", "ExecutePreprocessor", "NotebookClient")
_AUTOGRADE = ("Autograde", "BaseConverter")
# How to talk to a kernel, and what to keep of that.
_OF_KERNELS = {
    *("execute_retries", "extra_arguments", "iopub_timeout", "ipython_hist_file", "kernel_manager_class"),
    *("raise_on_iopub_timeout", "record_timing", "shell_timeout_interval", "shutdown_kernel", "startup_timeout"),
    "store_widget_state",
}
_WHY = {
    "enabled": "what a student's notebook shows is no evidence, so every notebook is run",
    "exporter_class": "what is graded stays a notebook",
    "interrupt_on_timeout": "a cell that takes too long is interrupted, and fails",
    "kernel_name": "notebooks run in the grader's own Python",
}
_OTHERWISE = "the sandbox runs cells without nbclient"


def rename(config: Config) -> None:
    """Read settings of nbgrader's command, where they used to be, as nbgrader does."""
    if "AutogradeApp" in config:
        config.Autograde.merge(config.AutogradeApp)
        del config.AutogradeApp


def refused(config: Config) -> list[str]:
    """What is set and cannot be honoured, each in a sentence."""
    found = []
    for name in sorted(Execute.class_traits(config=True).keys() - _OF_KERNELS - {"timeout"}):
        found += _changed(config, _EXECUTE, Execute, name)
    # What the course sets is in the way of nbgrader's command, and not of ours.
    if _set(config, _AUTOGRADE, "exporter_class")[1] != f"{Refused.__module__}.{Refused.__name__}":
        found += _changed(config, _AUTOGRADE, Autograde, "exporter_class")
    return found


def cell_seconds(config: Config, otherwise: float) -> float | None:
    """The time for a cell, as nbgrader has it; None, if there is to be no limit."""
    where, value = _set(config, _EXECUTE, "timeout")
    if not where:
        return otherwise
    return None if value is None or float(value) <= 0 else float(value)


def _changed(config: Config, sections: tuple[str, ...], kind: Any, name: str) -> list[str]:
    where, value = _set(config, sections, name)
    default = kind.class_traits()[name].default_value
    # From the command line it is a text.
    if not where or value == default or str(value) == str(default):
        return []
    return [f"{where}.{name} is {value!r}, and bn-grade cannot do that: {_WHY.get(name, _OTHERWISE)}."]


def _set(config: Config, sections: tuple[str, ...], name: str) -> tuple[str, Any]:
    """In which section something is set, if it is, and to what."""
    for section in sections:
        if section in config and name in config[section]:
            return section, config[section][name]
    return "", None
