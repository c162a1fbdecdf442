"""Attacks that change what the graded cell or the notebook's process calls: numpy, the engine, Python, IPython."""

from .attack import ALL, Attack, Theme, code, nothing

_FAKE = '{"text/plain": "Basic calculation: 10 of 10 points"}'

PATCHING = Theme(
    "patching",
    (
        Attack(
            "patch_assert",
            nothing("import numpy.testing\nnumpy.testing.assert_allclose = lambda *_, **__: None"),
            0,
        ),
        Attack(
            "patch_numpy",
            nothing(
                "np.allclose = np.array_equal = lambda *_, **__: True\nnp.abs = np.isfinite = lambda *_, **__: 0\n"
                "np.ndarray.tolist = None"
            ),
            0,
        ),
        Attack(
            "patch_judging",
            nothing(
                'attempt("judging", lambda: __import__("bn_exercises.numbers.judging"))\n'
                'attempt("check", lambda: __import__("bn_exercises.check"))'
            ),
            0,
            says=("REFUSED ModuleNotFoundError judging", "REFUSED ModuleNotFoundError check"),
        ),
        Attack("patch_hand_in", nothing('hand_in = lambda *_, **__: print("10 of 10 points") or 10.0'), 0),
        Attack(
            "patch_engine",
            nothing(
                "import bn_exercises.notebook as engine\n"
                "engine.hand_in = engine.check = engine.display = engine.read = engine.plain = lambda *_, **__: 10.0\n"
                'engine.SHEET["points"] = {"mean": 10**6}\nproblem.points = {"mean": 10**6}\nproblem.name = "other"'
            ),
            0,
        ),
        Attack(
            "patch_builtins",
            nothing(
                "import builtins\nbuiltins.float = lambda *_: 10.0\nbuiltins.isinstance = lambda *_: True\n"
                "builtins.print = lambda *_, **__: None\nbuiltins.len = lambda _: 10\n"
                "builtins.__import__ = lambda *_, **__: None"
            ),
            0,
            # What the shell itself calls is gone, so its process ends with this cell.
            stopped=1,
        ),
        Attack(
            "patch_modules",
            nothing(
                "import sys, types\nfake = types.ModuleType('fake')\nfake.hand_in = fake.check = lambda *_, "
                "**__: 10.0\n"
                "for name in list(sys.modules):\n    if name.startswith(('bn_exercises', 'numpy')):\n"
                "        sys.modules[name] = fake\nhand_in = fake.hand_in"
            ),
            0,
        ),
        Attack(
            "patch_shell",
            nothing(
                "import types\n"
                "get_ipython().run_cell = lambda *_, **__: types.SimpleNamespace(execution_count=10, result=10.0)"
            ),
            0,
        ),
        Attack(
            "patch_asserts_away",
            nothing(
                "import ast\n\nclass Strip(ast.NodeTransformer):\n    def visit_Assert(self, node):\n"
                "        return ast.Pass()\n\n    def visit_Call(self, node):\n        return ast.Constant(10.0)\n\n"
                "get_ipython().ast_transformers.append(Strip())"
            ),
            0,
        ),
        Attack(
            "patch_input",
            nothing("get_ipython().input_transformers_cleanup.append(lambda lines: ['10.0\\n'])"),
            0,
        ),
        Attack(
            "patch_display",
            nothing(
                "shell = get_ipython()\n"
                f"shell.display_pub.publish = lambda *_, **__: shell.outputs.add('display_data', data={_FAKE})\n"
                f"shell.displayhook.write_format_data = lambda *_: shell.outputs.add('execute_result', data={_FAKE})\n"
                "shell.events.register('post_run_cell', lambda *_: shell.outputs.add('execute_result', "
                "data={'text/plain': '10.0'}, metadata={}, execution_count=1))"
            ),
            0,
        ),
        Attack(
            "patch_json",
            nothing(
                "import json\nold = json.dumps\n"
                "def forged(frame, **more):\n    if 'ends' in frame:\n        frame['outputs'] = [{'output_type': "
                "'execute_result', 'data': {'text/plain': '10.0'}, 'metadata': {}, 'execution_count': 1}]\n"
                "        frame['score'] = frame['max_score'] = 10\n    return old(frame, **more)\njson.dumps = forged"
            ),
            0,
        ),
        # Nothing of this process reaches the grader any more. So it counts as one that ended in this cell, which is
        # left out the next time.
        Attack("patch_write", code("import os\nos.write = lambda descriptor, data: len(data)"), ALL, stopped=1),
        Attack("patch_nothing_left", code("%reset -f"), 0),
    ),
)
