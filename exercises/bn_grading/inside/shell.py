"""Runs the cells of a notebook in this process and yields their outputs as a notebook stores them.

What ipykernel does for one notebook, without the messages: starting a kernel, talking to it and stopping it is most of
what an ordinary grading run does. Nothing here is safe from the code it runs, and nothing has to be: the process is in
a sandbox, and the grader takes what comes out for data.
"""

import builtins
import getpass
import io
import json
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

from bn_exercises.answers import ANSWERS

CUT = "\n... the rest of this output was cut ...\n"
MOST_OF_ANSWERS = 2_000_000
# Characters of an error; of a longer one the beginning and the end are kept.
MOST_OF_ERROR = 20_000
# Outputs of a cell: so many that are shown, and so many of each kind that decides its points.
MOST_SHOWN = 1000
MOST_DECIDING = 50
# What is left of an output, in characters, when as much was sent of a notebook as may be.
LEAST = 200
# A character takes at most so many bytes in JSON.
WIDEST = 12


class Outputs:
    """The outputs of one cell, in order.

    Streams and displays are kept up to so many characters, and within what may be sent of a notebook. What decides a
    score is kept in any case: errors, results, answers, and that there was something on standard error, which nbgrader
    takes for a failure.

    Args:
        most: characters of what is shown by one cell.
        room: bytes of what may be sent of all of them together.
    """

    def __init__(self, most: int, room: int) -> None:
        self.most = most
        self.room = room
        self._begin()

    def _begin(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.size = 0
        self.failed = False
        self.cut = False
        # No more room for streams, and those that there are.
        self._full = False
        self._names: set[str] = set()
        self._clear_first = False

    def clear(self, wait: bool = False) -> None:
        """Take away what was only shown, now or before the next output."""
        self._clear_first = wait
        if not wait:
            self.items = [item for item in self.items if _decides(item)]
            self.size, self.cut, self._full = 0, False, False
            self._names.clear()

    def stream(self, name: str, text: str) -> None:
        """Add text to a stream."""
        if not text:
            return
        self._clear_now()
        last = self.items[-1] if self.items else {}
        goes_on = last.get("name") == name
        room = self.most - self.size if not self._full and (goes_on or len(self.items) < MOST_SHOWN) else 0
        if len(text) > room:
            if self._full and name in self._names:
                return
            text, self.cut, self._full = text[:room] + CUT, True, True
        self.size += min(len(text), room)
        self._names.add(name)
        if goes_on:
            last["parts"].append(text)
        else:
            self.items.append({"output_type": "stream", "name": name, "parts": [text]})

    def display(self, name: Any, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Add a display; one that would be too much is left out. Of answers only the last count."""
        item = {"output_type": "display_data", "display_id": name, "data": data, "metadata": metadata}
        size = len(repr(data)) + len(repr(metadata))
        if ANSWERS in data and size <= MOST_OF_ANSWERS:
            self.items = [each for each in self.items if not _has_answers(each)]
            self._decide(item)
        elif self.size + size > self.most or len(self.items) >= MOST_SHOWN:
            self.stream("stdout", CUT)
            self.cut = True
        else:
            self._clear_now()
            self.size += size
            self.items.append(item)

    def update(self, name: Any, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Let it take the place of what was shown under the same name in this cell."""
        for item in self.items:
            if name is not None and item.get("display_id") == name and not _has_answers(item) and ANSWERS not in data:
                item.update(data=data, metadata=metadata)

    def error(self, name: str, says: str, traceback: list[str]) -> None:
        """Add an error."""
        self.failed = True
        text = "\n".join(traceback)
        lines = _shortened(text, MOST_OF_ERROR).split("\n")
        short = _shortened(says, MOST_OF_ERROR)
        self._decide({"output_type": "error", "ename": name[:LEAST], "evalue": short, "traceback": lines})
        self.cut |= max(len(text), len(says)) > MOST_OF_ERROR

    def result(self, data: dict[str, Any], metadata: dict[str, Any], count: int) -> None:
        """Add the value of the cell's last line."""
        item = {"output_type": "execute_result", "data": data, "metadata": metadata, "execution_count": count}
        if len(repr(item)) > self.most:
            item, self.cut = _least(item, self.most), True
        self._decide(item)

    def take(self) -> tuple[list[dict[str, Any]], bool]:
        """All of them, as a notebook stores them, and whether something was cut."""
        done: list[dict[str, Any]] = []
        for item in self.items:
            item.pop("display_id", None)
            if "parts" in item:
                item = {"output_type": "stream", "name": item["name"], "text": "".join(item["parts"])}
            size = len(json.dumps(item))
            if size > self.room and not _has_answers(item):
                self.cut = True
                if not self.room and any(each.get("name", "") == item.get("name") for each in done):
                    continue
                item, size = _least(item, self.room // WIDEST), self.room if "name" in item else 0
            self.room = max(0, self.room - size)
            if item:
                done.append(item)
        cut = self.cut
        self._begin()
        return done, cut

    def _clear_now(self) -> None:
        if self._clear_first:
            self.clear()

    def _decide(self, item: dict[str, Any]) -> None:
        self._clear_now()
        if sum(each["output_type"] == item["output_type"] and _decides(each) for each in self.items) < MOST_DECIDING:
            self.items.append(item)
        else:
            self.cut = True


def _has_answers(item: dict[str, Any]) -> bool:
    return ANSWERS in item.get("data", ())


def _decides(item: dict[str, Any]) -> bool:
    return item["output_type"] in ("error", "execute_result") or _has_answers(item)


def _least(item: dict[str, Any], most: int) -> dict[str, Any]:
    """What is left of an output where there is no room for all of it; nothing, of a display."""
    if item["output_type"] == "stream":
        return item | {"text": item["text"][:most] + CUT}
    if item["output_type"] == "error":
        return item | {"evalue": _shortened(item["evalue"], max(most, LEAST)), "traceback": [CUT]}
    if item["output_type"] == "execute_result":
        text = str(item["data"].get("text/plain", ""))
        text = _number(text) or (text if len(text) <= max(most, LEAST) else text[: max(most, LEAST)] + CUT)
        return item | {"data": {"text/plain": text}, "metadata": {}}
    return {}


def _number(text: str) -> str:
    """The number that a text says, in few characters; nothing, if it says none."""
    try:
        return repr(float(text))
    except ValueError:
        return ""


def _shortened(text: str, most: int) -> str:
    """Keep the beginning and the end: the end of a traceback says what happened."""
    return text if len(text) <= most else text[: most // 2] + CUT + text[-most // 2 :]


class Stream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr` of a notebook: what is written is among the cell's outputs at once."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, name: str, outputs: Outputs, descriptor: int) -> None:
        self.name = name
        self._outputs = outputs
        self._descriptor = descriptor

    def write(self, text: str) -> int:
        """Add text to the cell's outputs."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._outputs.stream(self.name, text)
        return len(text)

    def fileno(self) -> int:
        """Return the descriptor that other programs write to (`Beneath`)."""
        return self._descriptor

    def writable(self) -> bool:
        """Say that text can be written."""
        return True

    def close(self) -> None:
        """Stay open: the cells after this one write, too."""


class Beneath:
    """What is written to descriptor 1 or 2 itself, by C code and other programs: a file, read after each cell."""

    def __init__(self, descriptor: int, most: int) -> None:
        # A character has up to 4 bytes. One more than `most` shows that there was more.
        self._kept = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - as long as the process
        self._file = self._kept.fileno()
        self._most = 4 * (most + 1)
        os.dup2(self._file, descriptor)

    def take(self) -> str:
        """Return what was written since the last call, as text."""
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
        """Write no "Out[1]:": the notebook shows it."""

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        """Keep the result."""
        if format_dict:
            self.outputs.result(as_json(format_dict), as_json(md_dict or {}), self.prompt_count)

    def finish_displayhook(self) -> None:
        """Write no end of line."""


class Publisher(DisplayPublisher):
    """What `display` shows."""

    outputs: Outputs

    def publish(
        self, data: Any, metadata: Any = None, *, transient: Any = None, update: bool = False, **_: Any
    ) -> None:
        """Keep a display; an update takes the place of what was shown under the same name in this cell."""
        name = (transient or {}).get("display_id")
        put = self.outputs.update if update else self.outputs.display
        put(name, as_json(data), as_json(metadata or {}))

    def clear_output(self, wait: bool = False) -> None:
        """Drop what was shown so far, but for what decides a score."""
        self.outputs.clear(wait)


class Shell(InteractiveShell):
    """IPython, with its outputs kept."""

    displayhook_class = Type(Hook)
    display_pub_class = Type(Publisher)
    outputs = AnyTrait()

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        self.outputs.error(str(etype.__name__), _said(evalue), [str(line) for line in stb])

    async def run_code(self, code_obj: Any, result: Any = None, *, async_: bool = False) -> bool:
        """Run a cell, and note by itself whether it failed: its outputs and its result can be changed afterwards."""
        failed = await super().run_code(code_obj, result, async_=async_)
        self.outputs.failed |= failed
        return failed

    def enable_gui(self, gui: Any = None) -> None:
        """Do nothing: there is no screen."""

    def ask_exit(self) -> None:
        """Do nothing: `exit()` does not end a notebook."""


def as_json(data: Any) -> Any:
    """Return data as JSON knows them; what JSON does not know, as text."""
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
    """Refuse, as ipykernel does where nobody can answer; it stands in the place of `input`."""
    raise StdinNotImplementedError("raw_input was called, but this frontend does not support input requests.")


def make_shell(most: int, room: int) -> Shell:
    """A shell whose outputs are kept, up to `most` characters of each cell and `room` bytes of all."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    outputs = Outputs(most, room)
    # A singleton, because `get_ipython` and Matplotlib ask for it.
    shell = Shell.instance(config=config)
    shell.outputs = shell.displayhook.outputs = shell.display_pub.outputs = outputs
    return shell


def run(shell: Shell, cells: list[dict[str, Any]], skip: dict[str, str], send: Any) -> None:
    """Run the code cells one after the other, and send of each whether it failed, and its outputs.

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
        count, failed = None, True
        if str(index) in skip:
            outputs.error("Stopped", skip[str(index)], [f"Stopped: {skip[str(index)]}"])
        elif cell["source"].strip():
            try:
                result = shell.run_cell(cell["source"], store_history=True)
                count, failed = result.execution_count, not result.success
            # The grader's interrupt may come between two steps of IPython's own, and a cell may have broken these.
            except BaseException as error:
                name = type(error).__name__
                outputs.error(name, _said(error), [f"{name}: {_said(error)}"])
        else:
            failed = False
        for name, each in below.items():
            if text := each.take():
                outputs.stream(name, text)
        failed |= outputs.failed
        done, cut = outputs.take()
        send({"ends": index, "count": count, "failed": failed, "cut": cut, "outputs": done})
