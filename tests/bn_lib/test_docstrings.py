"""Every public name says what it is, what it takes and where it comes from: the book's reference page is made of it."""

import doctest
import importlib
import inspect
import re

import numpy as np
import pytest

import bn_lib

PUBLIC = {name: getattr(bn_lib, name) for name in bn_lib.__all__}
NORMALIZERS = [
    name for name in PUBLIC if name.lower().endswith("norm") or name in ("batch_norm_inference", "standardize")
]
WITH_EXAMPLES = sorted({thing.__module__.removeprefix("bn_lib.") for thing in PUBLIC.values()})
FORMULA = re.compile(r"\S += +\S")


def parameters(thing):
    names = inspect.signature(thing).parameters
    return [name for name in names if name not in ("self", "_")]


def test_all_is_sorted_and_complete():
    """What a module of the core defines for users, and imports here, is in `__all__`."""
    exported = {
        name
        for name, value in vars(bn_lib).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and getattr(value, "__module__", "").startswith("bn_lib")
    }
    assert exported == set(bn_lib.__all__)
    assert len(bn_lib.__all__) == len(set(bn_lib.__all__))


@pytest.mark.parametrize("name", PUBLIC)
def test_it_begins_with_a_sentence_or_a_formula(name):
    first = inspect.cleandoc(PUBLIC[name].__doc__).splitlines()[0]
    assert first[0].isupper() or first[0] in "`(" or FORMULA.search(first)
    assert re.search(r"[.:;]", first), first


@pytest.mark.parametrize("name", [n for n, thing in PUBLIC.items() if inspect.isfunction(thing)])
def test_a_function_says_what_it_takes_and_gives(name):
    doc = inspect.getdoc(PUBLIC[name])
    described = "Args:" in doc and "Returns:" in doc
    assert described or FORMULA.search(doc) or re.search(r"[Rr]eturn|Gradient|Fraction", doc), doc


@pytest.mark.parametrize("name", PUBLIC)
def test_every_parameter_is_described_where_there_is_a_list(name):
    doc = inspect.getdoc(PUBLIC[name])
    if "Args:" in doc:
        args = doc.partition("Args:")[2]
        missing = [p for p in parameters(PUBLIC[name]) if not re.search(rf"^\s+{p}:", args, re.MULTILINE)]
        assert not missing


@pytest.mark.parametrize("name", [n for n, thing in PUBLIC.items() if inspect.isclass(thing)])
def test_a_class_that_takes_something_says_what(name):
    cls = PUBLIC[name]
    if parameters(cls) and name not in ("Sequential", "Layer"):
        doc = inspect.getdoc(cls)
        assert "Args:" in doc or "Attributes:" in doc
        for parameter in parameters(cls):
            assert re.search(rf"\b{parameter}\b", doc), parameter


@pytest.mark.parametrize(
    ("name", "member"),
    [
        (name, member)
        for name, cls in PUBLIC.items()
        if inspect.isclass(cls)
        for member, value in vars(cls).items()
        if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, classmethod))
    ],
)
def test_every_public_method_has_a_docstring(name, member):
    assert vars(PUBLIC[name])[member].__doc__


def public_names(module):
    """What `bn_lib` exports of a module; for one that it does not import, what the module defines."""
    whole = importlib.import_module(f"bn_lib.{module}")
    exported = {name: thing for name, thing in PUBLIC.items() if thing.__module__ == whole.__name__}
    return exported or {
        name: thing
        for name, thing in vars(whole).items()
        if not name.startswith("_") and getattr(thing, "__module__", "") == whole.__name__
    }


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_every_public_name_has_an_example_and_the_examples_run(module):
    """As everywhere in NumPy's world, `np` and the package under its name are taken as imported."""
    without = [name for name, thing in public_names(module).items() if ">>>" not in inspect.getdoc(thing)]
    assert not without
    whole = importlib.import_module(f"bn_lib.{module}")
    results = doctest.testmod(whole, extraglobs={"np": np, "bn_lib": bn_lib}, raise_on_error=False)
    assert results.attempted >= len(public_names(module))
    assert results.failed == 0


@pytest.mark.parametrize("name", [n for n in NORMALIZERS if inspect.isfunction(PUBLIC[n])])
def test_a_normalizer_names_its_source_with_a_year(name):
    source = inspect.getdoc(PUBLIC[name]).partition("Source:")[2]
    assert re.search(r"\(\d{4}\)", source), name


@pytest.mark.parametrize("name", [n for n in NORMALIZERS if inspect.isclass(PUBLIC[n])])
def test_a_normalizing_layer_leads_to_its_source(name):
    """Its own, or the function's that it names."""
    doc = inspect.getdoc(PUBLIC[name])
    function = re.search(r"See `(\w+)`", doc)
    assert "Source:" in doc or "Source:" in inspect.getdoc(PUBLIC[function[1]])


def test_the_lists_above_are_not_empty():
    assert len([n for n in NORMALIZERS if inspect.isfunction(PUBLIC[n])]) >= 8
    assert len([n for n in NORMALIZERS if inspect.isclass(PUBLIC[n])]) >= 6
