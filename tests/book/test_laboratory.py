"""The laboratories: a control that is moved recomputes, the last three runs stay, and a page shows one of them."""

import time
from importlib import import_module
from itertools import count

import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup
from jupyter_client.manager import start_new_kernel

from bn_book import laboratory
from bn_book.chapters import chapters
from bn_book.laboratory import SIZE, Laboratory, Outcome, choose
from bn_book.scale import experiments as scale


def values(control):
    return [option[1] if isinstance(option, tuple) else option for option in control.options]


def cells(html):
    """What each row of a run's tables says."""
    rows = BeautifulSoup(html, "html.parser").select("tr")
    return {row.th.get_text(): row.td.get_text() for row in rows}


def move(control):
    """Set a control to the next of its values, or to the one before the last."""
    options = values(control)
    control.value = (options[options.index(control.value) + 1 :] or options[-2:])[0]


@pytest.mark.parametrize("chapter", chapters())
def test_a_control_that_is_moved_recomputes(chapter, capsys):
    made = import_module(f"bn_book.{chapter}.laboratory").laboratory()
    (first,) = made.runs
    control = next(iter(made.controls.values()))
    move(control)
    new, old = made.runs
    assert old is first
    changed = {name for name in new.settings if new.settings[name] != old.settings[name]}
    assert changed == {control.description}
    assert cells(new.html) != cells(old.html)
    assert new.html in made._shown.value
    assert old.html in made._shown.value
    assert made.question.count("?") >= 1


@pytest.mark.parametrize("chapter", chapters())
def test_a_page_shows_a_run_and_the_way_to_others(chapter, built_site):
    page = (built_site / "book" / "chapters" / f"{chapter}.html").read_text(encoding="utf-8")
    (shown,) = BeautifulSoup(page, "html.parser").select(".bn-laboratory")
    assert len(shown.select("figure svg")) == 1
    assert shown.select("table")
    assert shown.strong.get_text().endswith("?")
    assert shown.find("a", class_="bn-run-link")["href"] == "../run.html"
    assert "application/vnd.jupyter.widget" not in page


class Fake:
    """A run that counts, and takes as many parts as its first control says."""

    def __init__(self):
        self.made = 0

    def __call__(self, each, *, parts, kind):
        if kind == "broken":
            raise ValueError("this kind is broken")
        self.made += 1
        done = [part for part in each(range(parts))]
        fig, _ = plt.subplots(figsize=SIZE)
        return Outcome(fig, f"Nothing, for {kind}.", {"parts done": f"{len(done)}", "slope": "-3e-06"})


@pytest.fixture
def fake(capsys):
    run = Fake()
    controls = {"parts": choose("parts", (1, 2, 3, 4, 5), 1), "kind": choose("kind", ("a", "b", "broken"), "a")}
    return run, Laboratory("What do you see?", run, controls)


def test_the_last_three_runs_stay_the_newest_first(fake):
    _, made = fake
    for parts in (2, 3, 4):
        made.controls["parts"].value = parts
    assert [run.settings["parts"] for run in made.runs] == ["4", "3", "2"]
    assert [cells(run.html)["parts done"] for run in made.runs] == ["4", "3", "2"]


def test_what_was_set_anew_stands_out(fake):
    _, made = fake
    made.controls["kind"].value = "b"
    strong = BeautifulSoup(made._shown.value, "html.parser").select("td strong")
    assert [element.get_text() for element in strong] == ["b"]


def test_it_runs_once_when_it_is_made_and_once_for_each_setting(fake):
    run, made = fake
    assert run.made == 1
    made.controls["parts"].value = 3
    assert run.made == 2


def test_a_run_that_fails_costs_no_run_that_was_there(fake):
    _, made = fake
    before = list(made.runs)
    with pytest.raises(ValueError, match="this kind is broken"):  # in a kernel, the traceback is below the controls
        made.controls["kind"].value = "broken"
    assert made.runs == before
    assert made._bar.layout.visibility == "hidden"


def test_what_fails_at_first_fails_where_it_is_made():
    with pytest.raises(ValueError, match="this kind is broken"):
        Laboratory(
            "?", Fake(), {"parts": choose("parts", (1, 2), 1), "kind": choose("kind", ("broken", "b"), "broken")}
        )


@pytest.mark.parametrize(("seconds", "seen"), [(0.1, "hidden"), (1.0, "visible")])
def test_a_bar_shows_how_far_a_long_run_is(fake, monkeypatch, seconds, seen):
    _, made = fake
    clock = count()
    monkeypatch.setattr(laboratory.time, "monotonic", lambda: seconds * next(clock))
    shown = []
    made._bar.observe(lambda change: shown.append((change["new"], made._bar.layout.visibility)), "value")
    monkeypatch.setattr(made, "_run", lambda each, **_: (list(each(range(5))), Fake()(iter, parts=1, kind="a"))[1])
    made.controls["parts"].value = 5
    assert [value for value, _ in shown] == [1, 2, 3, 4]
    assert made._bar.max == 5
    made.controls["parts"].value = 4  # a run after one that was slow shows the bar from its start
    assert shown[4:][1][1] == seen
    assert made._bar.layout.visibility == "hidden"


def test_a_page_gets_words_and_numbers_as_in_a_book(fake):
    _, made = fake
    html = made.to_html()
    assert cells(html)["slope"] == "−3\u00a0×\u00a010⁻⁶"
    assert "<script" not in html
    data, _ = made._repr_mimebundle_()
    assert data["text/html"] == html
    assert "application/vnd.jupyter.widget-view+json" in data


def test_a_control_starts_at_one_of_its_values():
    with pytest.raises(ValueError, match=r"rate starts at 0\.3; expected one of \[0\.1, 0\.2\]"):
        choose("rate", (0.1, 0.2), 0.3)
    assert [label for label, _ in choose("rate", (0.1, 1.0), 1.0).options] == ["0.1", "1"]


def test_descent_at_a_rate_is_the_chapters(capsys):
    """The laboratory of the first chapter takes the steps that its table counts."""
    h, minimum = scale.digits_bowl(scale.prepared_digits()["centered"][0])
    losses, off = scale.excess_losses(h, minimum, 1 / float(scale.eigenvalues(h)[-1]), 20)
    (stage,) = (stage for stage in scale.digits_stages() if stage.name == "centered")
    np.testing.assert_allclose(losses, stage.excess[:21], rtol=1e-12)
    assert off.shape == minimum.shape


def test_in_a_kernel_a_browsers_message_moves_a_control():
    """What a page sends when a reader moves a control comes back as a new value of what is shown."""
    manager, client = start_new_kernel()
    try:
        made = (
            "from bn_book.speed.laboratory import laboratory\n"
            "made = laboratory()\nprint(made.controls['method'].model_id, made._shown.model_id)"
        )
        ids = []
        client.execute_interactive(
            made, timeout=60, output_hook=lambda message: ids.append(message["content"].get("text", ""))
        )
        control, shown = "".join(ids).split()
        update = {"method": "update", "state": {"index": 1}, "buffer_paths": []}
        message = client.session.msg("comm_msg", {"comm_id": control, "data": update})
        client.shell_channel.send(message)
        late = time.monotonic() + 60
        while time.monotonic() < late:
            answer = client.get_iopub_msg(timeout=60)
            if answer["msg_type"] == "comm_msg" and answer["content"]["comm_id"] == shown:
                break
        html = answer["content"]["data"]["state"]["value"]
        rows = BeautifulSoup(html, "html.parser").select("tr")
        methods = [row.td.get_text() for row in rows if row.th.get_text() == "method"]
        assert methods == ["two passes", "one pass"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
