"""Runs the cells of a notebook in this process and yields their outputs as a notebook stores them.

What ipykernel does for one notebook, without the messages: starting a kernel, talking to it and stopping it is most of
what an ordinary grading run does. Nothing here is safe from the code it runs, and nothing has to be: the process is in
a sandbox, and the grader takes what comes out for data.
"""

import builtins
import getpass
import os
import sys
import tempfile
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.error import StdinNotImplementedError
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Any as AnyTrait
from traitlets import Type
from traitlets.config import Config

CUT = "\n... the rest of this output was cut ...\n"


class Outputs:
    """The outputs of one cell, in order, up to so many characters altogether."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.clear()

    def clear(self) -> None:
        """Begin with nothing."""
        self.items: list[dict[str, Any]] = []
        self.size = 0

    def stream(self, name: str, text: str) -> None:
        """Add text to a stream."""
        if self.size >= self.most:
            return
        text = text[: self.most - self.size] + (CUT if self.size + len(text) >= self.most else "")
        self.size += len(text)
        last = self.items[-1] if self.items else {}
        if last.get("name") == name:
            last["parts"].append(text)
        else:
            self.items.append({"output_type": "stream", "name": name, "parts": [text]})

    def add(self, kind: str, **content: Any) -> None:
        """Add a display, a result or an error; one that would be too much is left out, and said so."""
        size = len(repr(content))
        if self.size + size > self.most:
            self.stream("stdout", CUT)
            return
        self.size += size
        self.items.append({"output_type": kind, **content})

    def take(self) -> list[dict[str, Any]]:
        """All of them, as a notebook stores them."""
        done = [
            {"output_type": "stream", "name": item["name"], "text": "".join(item["parts"])} if "parts" in item else item
            for item in self.items
        ]
        self.clear()
        return done


class Stream:
    """`sys.stdout` or `sys.stderr` of a notebook."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, name: str, outputs: Outputs, descriptor: int) -> None:
        self.name = name
        self._outputs = outputs
        self._descriptor = descriptor

    def write(self, text: str) -> int:
        """Add to the cell's outputs."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._outputs.stream(self.name, text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Add each."""
        for line in lines:
            self.write(line)

    def fileno(self) -> int:
        """The descriptor under it, for what other programs write."""
        return self._descriptor

    def flush(self) -> None:
        """Nothing waits."""

    def isatty(self) -> bool:
        """No terminal."""
        return False

    def writable(self) -> bool:
        """Can be written to."""
        return True

    def readable(self) -> bool:
        """Cannot be read."""
        return False

    closed = False


class Beneath:
    """What is written to descriptor 1 or 2 itself, by C code and other programs: a file, read after each cell."""

    def __init__(self, descriptor: int, most: int) -> None:
        self._kept = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - as long as the process
        self._file = self._kept.fileno()
        self._most = most
        os.dup2(self._file, descriptor)

    def take(self) -> str:
        """What was written since, as text."""
        size = os.fstat(self._file).st_size
        if not size:
            return ""
        text = os.pread(self._file, min(size, self._most), 0).decode(errors="replace")
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        return text


class Hook(DisplayHook):
    """The value of a cell's last line."""

    outputs: Outputs

    def write_output_prompt(self) -> None:
        """No "Out[1]:": the notebook shows it."""

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        """Keep the result."""
        if format_dict:
            self.outputs.add(
                "execute_result",
                data=as_json(format_dict),
                metadata=as_json(md_dict or {}),
                execution_count=self.prompt_count,
            )

    def finish_displayhook(self) -> None:
        """No end of line."""


class Publisher(DisplayPublisher):
    """What `display` shows."""

    outputs: Outputs

    def publish(
        self, data: Any, metadata: Any = None, *, transient: Any = None, update: bool = False, **_: Any
    ) -> None:
        """Keep it; an update takes the place of what was shown under the same name in this cell."""
        name = (transient or {}).get("display_id")
        shown = {"data": as_json(data), "metadata": as_json(metadata or {})}
        if update:
            for item in self.outputs.items:
                if name is not None and item.get("display_id") == name:
                    item.update(shown)
            return
        self.outputs.add("display_data", **shown)
        if name is not None and self.outputs.items:
            self.outputs.items[-1]["display_id"] = name

    def clear_output(self, wait: bool = False) -> None:
        """Begin with nothing."""
        self.outputs.clear()


class Shell(InteractiveShell):
    """IPython, with its outputs kept."""

    displayhook_class = Type(Hook)
    display_pub_class = Type(Publisher)
    outputs = AnyTrait()

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        self.outputs.add(
            "error", ename=str(etype.__name__), evalue=_said(evalue), traceback=[str(line) for line in stb]
        )

    def enable_gui(self, gui: Any = None) -> None:
        """There is no screen."""

    def ask_exit(self) -> None:
        """A notebook is not left: `exit()` ends nothing."""


def as_json(data: Any) -> Any:
    """`data` as JSON has it; what it has not, as text."""
    if isinstance(data, dict):
        return {str(key): as_json(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [as_json(value) for value in data]
    if isinstance(data, bytes):
        import base64

        return base64.b64encode(data).decode()
    return data if data is None or isinstance(data, (str, int, float, bool)) else str(data)


def _said(error: Any) -> str:
    try:
        return str(error)
    except BaseException:
        return ""


def no_input(prompt: Any = "") -> str:
    """What `input` is here: nobody is there to answer, as ipykernel says it."""
    raise StdinNotImplementedError("raw_input was called, but this frontend does not support input requests.")


def make_shell(most: int) -> Shell:
    """A shell whose outputs are kept, up to `most` characters for each cell."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    outputs = Outputs(most)
    # A singleton, because `get_ipython` and Matplotlib ask for it.
    shell = Shell.instance(config=config)
    shell.outputs = shell.displayhook.outputs = shell.display_pub.outputs = outputs
    return shell


def run(shell: Shell, cells: list[dict[str, Any]], skip: dict[str, str], send: Any) -> None:
    """Run the code cells one after the other, and send the outputs of each.

    Args:
        shell: runs them.
        cells: each with its `index` in the notebook and its `source`.
        skip: cells that are not run, by index, because they ended the process before: what is said instead.
        send: takes a frame, a dictionary.
    """
    outputs = shell.outputs
    below = {"stdout": Beneath(1, outputs.most), "stderr": Beneath(2, outputs.most)}
    usual = Stream("stdout", outputs, 1), Stream("stderr", outputs, 2), sys.displayhook
    builtins.input = getpass.getpass = no_input
    for cell in cells:
        # A cell that took them away has not taken them from the others.
        sys.stdout, sys.stderr, sys.displayhook = usual
        index = cell["index"]
        send({"begins": index})
        count = None
        if str(index) in skip:
            outputs.add("error", ename="Stopped", evalue=skip[str(index)], traceback=[f"Stopped: {skip[str(index)]}"])
        elif cell["source"].strip():
            try:
                count = shell.run_cell(cell["source"], store_history=True).execution_count
            # The grader's interrupt may come between two steps of IPython's own, and a cell may have broken these.
            except BaseException as error:
                name = type(error).__name__
                outputs.add("error", ename=name, evalue=_said(error), traceback=[f"{name}: {_said(error)}"])
        for name, each in below.items():
            if text := each.take():
                outputs.stream(name, text)
        for item in (done := outputs.take()):
            item.pop("display_id", None)
        send({"ends": index, "count": count, "outputs": done})
