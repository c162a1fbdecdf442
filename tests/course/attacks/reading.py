"""Attacks that look for what a student must not know: the gradebook, solutions, other students, expected values."""

from ..conftest import FUNCTIONS, SUSPECTS
from .attack import ALL, CANARY, Attack, Theme, code, nothing, own

_HIDES = ("GOT ", CANARY)


def _open(*paths: str) -> str:
    return "".join(f'attempt({path!r}, lambda: open("{path}", "rb").read()[:200])\n' for path in paths)


_IMPORTS = (
    "bn_exercises.problem",
    "bn_exercises.problems",
    "bn_exercises.numbers.basic_calculation",
    "bn_exercises.numbers.judging",
    "bn_exercises.functions.problem",
    "bn_exercises.functions.implement.problem",
    "bn_exercises.functions.another_normalizer.gallery",
    "bn_exercises.functions.implementations",
    "bn_exercises.misconceptions",
    "bn_exercises.algorithm",
    "bn_exercises.accuracy",
    "bn_exercises.numbers.typeset",
    "bn_grading",
    "bn_grading.judge",
    "bn_grading.record",
    "nbgrader.api",
)
_TRY_IMPORTS = "import importlib\n" + "".join(
    f'attempt("{name}", lambda: importlib.import_module("{name}"))\n' for name in _IMPORTS
)

READING = Theme(
    "reading",
    (
        Attack(
            "read_gradebook",
            code(_open("@COURSE@/gradebook.db", "@COURSE@/nbgrader_config.py")),
            ALL,
            says=("REFUSED FileNotFoundError @COURSE@/gradebook.db",),
            hides=_HIDES,
        ),
        Attack(
            "read_others",
            code(
                _open("@COURSE@/submitted/ada_honest/batch-norm/1-basic-calculation.ipynb", "@COURSE@/submitted")
                + 'attempt("list", lambda: __import__("os").listdir("@COURSE@/submitted"))'
            ),
            ALL,
            says=("REFUSED FileNotFoundError list",),
            hides=_HIDES,
        ),
        Attack(
            "read_solutions",
            code(
                _open("@COURSE@/source/batch-norm/1-basic-calculation.md", "@COURSE@/source/batch-norm/data.csv")
                + "import os, sys\n"
                "def sources():\n    found = []\n    for above, folders, names in os.walk('/'):\n"
                "        folders[:] = [n for n in folders if os.path.join(above, n) not in ('/usr', '/proc', "
                "sys.base_prefix) and n != 'site-packages']\n"
                "        found += [n for n in names if 'calculation' in n and not above.startswith('/scratch')]\n"
                "    return found or None\n"
                'attempt("sources", sources)'
            ),
            ALL,
            says=("REFUSED sources",),
            hides=_HIDES,
        ),
        Attack(
            "read_homes",
            code(
                _open("@HOME@/secret.txt", "@HOME@/.ssh/id_ed25519", "/etc/passwd", "/etc/shadow", "/etc/hostname")
                # Python itself may lie in a home. Nothing else of that is there.
                + "import os, sys\npython = (sys.prefix + sys.base_prefix).split('/')\n"
                "for path in ('/root', '/home', '/run', '/var', '/srv', '/mnt', '/opt', '/etc'):\n"
                "    attempt(path, lambda: sorted({*os.listdir(path)} - {*python, 'ld.so.cache', 'localtime', "
                "'fonts'}) or None)"
            ),
            ALL,
            says=("REFUSED FileNotFoundError @HOME@/secret.txt",),
            hides=_HIDES,
        ),
        Attack(
            "read_environment",
            code(
                "import os\n"
                'attempt("environment", lambda: [n for n in os.environ if "NBGRADER_C" in n or "SECRET" in n] '
                "or None)\n"
                "for process in ['1', str(os.getppid()), 'self']:\n"
                "    def there(): return open(f'/proc/{process}/environ').read()\n"
                "    attempt('environ', lambda: ('SECRET' in there() or 'canary' in there()) or None)"
            ),
            ALL,
            says=("REFUSED environment", "environ"),
            hides=_HIDES,
        ),
        Attack(
            "read_processes",
            code(
                "import os\n"
                "mine = [each for each in os.listdir('/proc') if each.isdigit()]\n"
                'attempt("other processes", lambda: [p for p in mine if "bn_grading" in '
                "open(f'/proc/{p}/cmdline').read().replace('zygote', '')] or None)\n"
                'attempt("many processes", lambda: len(mine) > 5 or None)\n'
                "for p in mine:\n"
                "    attempt(f'root', lambda: os.path.exists(f'/proc/{p}/root@COURSE@/gradebook.db') or None)\n"
                "    attempt(f'cwd', lambda: os.path.exists(f'/proc/{p}/cwd/gradebook.db') or None)\n"
            ),
            ALL,
            says=("REFUSED other processes", "REFUSED many processes", "REFUSED root", "REFUSED cwd"),
            hides=_HIDES,
        ),
        Attack(
            "read_parent",
            code(
                "import os\nzygote = os.getppid()\n"
                "for descriptor in range(12):\n"
                "    attempt('descriptor', lambda: open(f'/proc/{zygote}/fd/{descriptor}', 'rb', 0) and None)\n"
                "attempt('memory', lambda: open(f'/proc/{zygote}/mem', 'rb') and 'memory')"
            ),
            ALL,
            says=("REFUSED", "memory"),
            hides=(),
        ),
        Attack(
            "read_key",
            code(
                'attempt("key", lambda: [v for v in vars(problem).values() if "course_key" in str(v)] or None)\n'
                + _open("/proc/keys").replace(".read()[:200]", ".read() or None")
            ),
            ALL,
            says=("REFUSED key",),
            hides=_HIDES,
        ),
        Attack(
            "read_engine",
            code(_TRY_IMPORTS),
            ALL,
            says=tuple(f"REFUSED ModuleNotFoundError {name}" for name in _IMPORTS),
        ),
        # Exercise 6 asks for what `implementations` is made of.
        Attack(
            "read_engine_implement",
            own(_TRY_IMPORTS, before="forward-question"),
            0,
            says=tuple(f"REFUSED ModuleNotFoundError {name}" for name in _IMPORTS),
            notebook=FUNCTIONS,
        ),
        # Exercise 7 has suspects to be called, so what they are made of is there. The references are not.
        Attack(
            "read_engine_suspects",
            own(
                'attempt("suspects", lambda: __import__("bn_exercises.functions.break_it.problem"))\n'
                'attempt("judging", lambda: __import__("bn_exercises.numbers.judging"))\n'
                'attempt("implement", lambda: __import__("bn_exercises.functions.implement.problem"))\n'
                'import bn_exercises.functions.implementations\nprint("by design")',
                before="A-question",
            ),
            0,
            says=("REFUSED ModuleNotFoundError judging", "REFUSED ModuleNotFoundError implement", "by design"),
            notebook=SUSPECTS,
        ),
        Attack(
            "read_solution",
            nothing("print('SOLUTION', solution(problem))\nprint(vars(problem))"),
            0,
            says=("SOLUTION What was found in your answers stands beside them",),
            hides=("-1.34", "the solution"),
        ),
        # Thousands of guesses, and the answer is the same to each.
        Attack(
            "read_oracle",
            nothing(
                "said = {repr(check(problem, mean=[a, b, 9.0])) for a in range(50) for b in range(50)}\n"
                "print('ANSWERS', len(said))\nprint('10 of 10' in str(said) or 'Right' in str(said))"
            ),
            0,
            says=("ANSWERS 1\nFalse",),
        ),
        Attack(
            "read_memory",
            nothing(
                "import gc\nwords = ('expected', 'reference', 'misconception', 'solution', 'gradebook', 'canary')\n"
                "found = {type(o).__module__ for o in gc.get_objects() if str(type(o).__module__).startswith("
                "('bn_grading', 'nbgrader', 'bn_exercises.numbers', 'bn_exercises.problem'))}\n"
                "attempt('objects', lambda: found or None)"
            ),
            0,
            says=("REFUSED objects",),
        ),
        Attack(
            "read_as_other",
            code(
                'import os\nos.environ["BN_STUDENT"] = "ada_honest"\nother = my_problem("basic-calculation", '
                'student="ada_honest")\nattempt("other", lambda: my_problem("backpropagation"))'
            ),
            ALL,
            says=("REFUSED ValueError other",),
        ),
        Attack(
            "read_devices",
            code(
                "import os\nattempt('devices', lambda: sorted(set(os.listdir('/dev')) - {'console', 'core', "
                "'fd', 'full', "
                "'null', 'ptmx', 'pts', 'random', 'shm', 'stderr', 'stdin', 'stdout', 'tty', 'urandom', "
                "'zero'}) or None)\n"
                "attempt('sys', lambda: os.listdir('/sys'))\n" + _open("/dev/mem", "/proc/kcore", "/dev/kmsg")
            ),
            ALL,
            says=("REFUSED devices", "REFUSED FileNotFoundError sys"),
        ),
    ),
)
