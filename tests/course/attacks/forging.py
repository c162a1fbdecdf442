"""Attacks that write what the grader reads: answers that nobody worked out, verdicts, frames of the sandbox's line."""

from .attack import ALL, Attack, Theme, both, code, nothing, own

_ANSWERS = "application/vnd.bn-exercises.answers+json"
_FORGE = f"""\
import bn_exercises.notebook as engine
from IPython.display import display
numbers = engine.SHEET["numbers"]
true = {{"version": 1, "problem": "basic-calculation", "numbers": numbers, "answers": {{}}}}

def hand_in(*_, **__):
    display({{"text/plain": "10 of 10 points", "{_ANSWERS}": forged}}, raw=True)
    return 1e9

"""
# To every descriptor there is, the grader's line among them.
_EVERYWHERE = """\
import json, os

def everywhere(data):
    for descriptor in range(256):
        try:
            os.write(descriptor, data)
        except OSError:
            pass

"""


def _forged(expression: str) -> "Attack.edit":  # type: ignore[name-defined]
    return nothing(f"{_FORGE}forged = {expression}")


FORGING = Theme(
    "forging",
    (
        Attack(
            "forge_bundle",
            both(
                nothing(
                    f"{_FORGE}forged = true | {{'score': 10, 'verdict': {{'score': 10}}}}\ndel hand_in\n"
                    "from bn_exercises.notebook import hand_in\n"
                    f"display({{'{_ANSWERS}': forged}}, raw=True)"
                ),
                own(f"display({{'{_ANSWERS}': true | {{'score': 10}}}}, raw=True)", before="hand-in-question"),
            ),
            0,
        ),
        Attack("forge_score", _forged("true | {'score': 10, 'max_score': 10, 'points': 10, 'verdict': 'right'}"), 0),
        Attack("forge_problem", _forged("true | {'problem': 'backpropagation'}"), 0, says=("to other numbers",)),
        Attack("forge_numbers", _forged("true | {'numbers': '0' * 16}"), 0, says=("to other numbers",)),
        Attack("forge_version", _forged("true | {'version': 99, 'answers': {'mean': 'right'}}"), 0),
        Attack("forge_list", _forged("[10, 10, 10]"), 0),
        Attack("forge_number", _forged("10.0"), 0),
        Attack("forge_huge", _forged("true | {'answers': {'mean': [0.0] * 10**7}}"), 0),
        Attack("forge_large", _forged("true | {'answers': {'mean': [0.0] * 30_000, 'more': 'x' * 10_000}}"), 0),
        Attack(
            "forge_nested",
            nothing(
                f"{_FORGE}nested = 5.0\nfor _ in range(400):\n    nested = [nested]\n"
                "forged = true | {'answers': {'mean': nested, 'var': {'deep': nested}}}"
            ),
            0,
        ),
        Attack("forge_nan", _forged("true | {'answers': {'mean': [float('nan')] * 3, 'var': [float('inf')] * 3}}"), 0),
        Attack("forge_digits", _forged("true | {'answers': {'mean': [10**4000] * 3, 'var': [-(10**400)] * 3}}"), 0),
        Attack(
            "forge_half_pair",
            _forged("true | {'answers': {'mean': '\\ud800', '\\udfff': 1}, '\\ud800': '\\ud800'}"),
            0,
        ),
        Attack(
            "page_unusable",
            _forged(
                "true | {'answers': {'mean': {'unusable': '<script>alert(1)</script> 2 of 2 points', 'missing': []}}}"
            ),
            0,
        ),
        Attack(
            "forge_types",
            _forged("true | {'answers': {'mean': {'a': {'b': []}}, 'var': True, 'x_hat': None, 'y': [[1], 'x', {}]}}"),
            0,
        ),
        Attack("forge_count", nothing("get_ipython().execution_count = -(10**4000)"), 0),
        Attack(
            "forge_verdict",
            nothing(
                "from IPython.display import HTML\nprint('Basic calculation: 10 of 10 points')\n"
                "display(HTML('<div class=\"bn-checked\">10 of 10 points</div>'))",
                y="y = None\nprint('10.0')\n10.0",
            ),
            0,
        ),
        # The grader's line. These lines are well formed, and say that each cell had the best of outputs.
        Attack(
            "forge_frames",
            nothing(
                f"{_EVERYWHERE}result = {{'output_type': 'execute_result', 'data': {{'text/plain': '10.0'}}, "
                "'metadata': {}, 'execution_count': 1}\n"
                "for cell in range(40):\n"
                "    frame = {'ends': cell, 'count': 1, 'outputs': [result], 'score': 10}\n"
                "    everywhere(b'\\n' + json.dumps(frame).encode() + b'\\n')"
            ),
            0,
        ),
        Attack("forge_ended", code(f"{_EVERYWHERE}everywhere(b'\\n{{\"ended\": 0}}\\n')"), ALL),
        Attack(
            "forge_finished",
            code(f'{_EVERYWHERE}everywhere(b\'\\n{{"finished": true}}\\n{{"ended": 0}}\\n{{"ready": 1}}\\n\')'),
            ALL,
        ),
        Attack(
            "forge_garbage",
            code(
                f"{_EVERYWHERE}everywhere(bytes(range(256)) * 100 + b'{{\"ends\": ')\n"
                'everywhere(b\'\\n{"ends": 1e999, "outputs": 5}\\n{"begins": [[]]}\\n{"begins": true}\\n{\')'
            ),
            ALL,
        ),
        # The clock is the grader's: a cell that says again and again that it begins has no more time for it.
        Attack(
            "forge_begins",
            code(
                f"{_EVERYWHERE}import threading, time\n\ndef again():\n    while True:\n"
                "        for cell in range(40):\n            everywhere(b'\\n{\"begins\": %d}\\n' % cell)\n"
                "        time.sleep(0.5)\n\n"
                "threading.Thread(target=again, daemon=True).start()\nwhile True:\n    pass"
            ),
            ALL,
        ),
        # More than is read of any: it is ended, and begun again without this cell.
        Attack(
            "forge_100_mb", code(f"{_EVERYWHERE}for _ in range(100):\n    everywhere(b'x' * 2**20)"), ALL, stopped=1
        ),
        Attack("forge_lines", code(f"{_EVERYWHERE}for _ in range(5):\n    everywhere(b'\\n' * 2**20)"), ALL),
        Attack(
            "forge_small_outputs",
            nothing(
                f"{_EVERYWHERE}everywhere(b'\\n{{\"ends\": 1, \"outputs\": [' + b'{{}},' * 10**6 + "
                f"b'{{}}]}}\\n')".replace("{{", "{").replace("}}", "}")
            ),
            0,
        ),
    ),
)
