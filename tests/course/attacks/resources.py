"""Attacks on what the machine has: memory by every road, disk, files, amounts of output."""

from ..conftest import FUNCTIONS, solved
from .attack import ALL, ANSWERS, ATTEMPT, Attack, Theme, both, code, own

_MIB = "2**20"
# Fills a folder until it is refused, and says how much it held.
_FILL = """\
import os

def fill(folder, most=4096):
    held = 0
    try:
        for each in range(most):
            with open(f"{folder}/{each}", "wb") as file:
                file.write(bytes(2**20))
            held += 1
    except OSError as error:
        print("REFUSED", type(error).__name__, folder, "after", held)
    else:
        print("GOT", held, "MiB in", folder)

"""

RESOURCES = Theme(
    "resources",
    (
        Attack("memory_50_gb", code("1", var="var = X.var(axis=0)\nnothing = np.ones(50 * 2**30 // 8)"), ALL),
        Attack("memory_grows", code("much = []\nwhile True: much.append(bytearray(10**7))"), ALL),
        # Each less than it may, and together more.
        Attack(
            "memory_many",
            code(
                "import os, time\nfor _ in range(8):\n    if os.fork() == 0:\n"
                f"        much = bytearray(os.urandom(1)) * (300 * {_MIB})\n        time.sleep(99)\ntime.sleep(2.5)"
            ),
            ALL,
            stopped=1,
        ),
        # Memory that belongs to no process: files that have no name.
        Attack(
            "memory_nameless",
            code(
                "import os\nheld, got = [], 0\n"
                "def more():\n    global got\n    for _ in range(200):\n        file = os.memfd_create('x')\n"
                "        held.append(file)\n        got += os.write(file, bytes(2**24))\n    return got\n"
                "attempt('nameless', more)\nassert got < 2**30, 'GOT too much'"
            ),
            ALL,
            says=("REFUSED", "nameless"),
        ),
        # ... and segments that stay when nobody is attached.
        Attack(
            "memory_segments",
            code(
                "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nlibc.shmat.restype = ctypes.c_void_p\n"
                f"got = 0\ndef more():\n    global got\n    for _ in range(40):\n        size = 64 * {_MIB}\n"
                "        name = libc.shmget(0, size, 0o1600)\n        if name < 0: raise OSError(ctypes.get_errno())\n"
                "        at = libc.shmat(name, None, 0)\n        if at == 2**64 - 1: raise MemoryError\n"
                "        ctypes.memset(at, 1, size)\n        libc.shmdt(ctypes.c_void_p(at))\n        got += size\n"
                "    return got\n"
                "attempt('segments', more)\nassert got < 2**30, 'GOT too much'"
            ),
            ALL,
            says=("REFUSED", "segments"),
        ),
        # What waits in sockets, of many processes, is nobody's either.
        Attack(
            "memory_sockets",
            code(
                "import os, socket, time\nfor _ in range(30):\n    if os.fork() == 0:\n        held = []\n"
                "        try:\n            while True:\n                held += (pair := socket.socketpair())\n"
                "                for each in pair:\n"
                "                    each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**22)\n"
                "                    each.setblocking(False)\n                    try:\n"
                "                        while True: each.send(bytes(2**16))\n"
                "                    except BlockingIOError: pass\n"
                "        except OSError: time.sleep(99)\n"
                "while True:\n    try:\n        time.sleep(9)\n    except BaseException: pass"
            ),
            ALL,
            stopped=1,
        ),
        Attack(
            "fill_scratch",
            code(_FILL + 'fill("/scratch", 100)\nfill("/tmp", 100)\nfill("/dev/shm", 100)'),
            ALL,
            says=("REFUSED OSError /scratch after", "REFUSED OSError /tmp after", "REFUSED OSError /dev/shm after"),
        ),
        Attack(
            "fill_sparse",
            code(
                "import os\nattempt('sparse', lambda: os.truncate(os.open('/scratch/s', os.O_CREAT | "
                "os.O_RDWR), 10**12) "
                "or 'sparse')\nattempt('seek', lambda: os.pwrite(os.open('/tmp/s', os.O_CREAT | os.O_RDWR), "
                "b'x', 10**12))"
            ),
            ALL,
            says=("REFUSED OSError sparse", "REFUSED OSError seek"),
        ),
        # The kernel keeps more for an empty file than the file is large, and counts it for no process.
        Attack(
            "fill_names",
            code(
                "import itertools, os\nnames = itertools.count()\nwhile True:\n    try:\n"
                "        os.close(os.open(f'/scratch/{next(names):0200}', os.O_CREAT | os.O_WRONLY))\n"
                "    except BaseException: pass"
            ),
            ALL,
            stopped=1,
        ),
        # What is to be emptied afterwards is deeper than a path may be long, and may not be looked into.
        Attack(
            "fill_deep",
            code(
                "import os\nos.chdir('/scratch')\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\n"
                "os.chdir('/tmp')\nos.mkdir('shut')\nopen('shut/file', 'w').close()\nos.chmod('shut', 0)"
            ),
            ALL,
        ),
        Attack(
            "write_outside",
            code(
                "import os, sys\n"
                "for path in ('/x', '/inside/x', '/inside/zygote.py', '/usr/x', '/bin/x', '/etc/x', '/dev/x', "
                "'/proc/sys/kernel/x',\n"
                "             sys.prefix + '/x', os.path.dirname(np.__file__) + '/x', '@COURSE@/x', '@HOME@/x', "
                "'/run/x'):\n"
                "    attempt(path, lambda: open(path, 'w'))"
            ),
            ALL,
            says=("REFUSED OSError /x", "REFUSED OSError /inside/x", "REFUSED OSError /usr/x"),
        ),
        Attack(
            "write_links",
            code(
                "import os\nos.symlink('@COURSE@/gradebook.db', '/scratch/link')\nos.symlink('/', '/tmp/all')\n"
                "attempt('link', lambda: open('/scratch/link').read())\n"
                "attempt('hard', lambda: os.link('@COURSE@/gradebook.db', '/scratch/hard'))\n"
                "attempt('through', lambda: open('/tmp/all/x', 'w'))"
            ),
            ALL,
            says=("REFUSED FileNotFoundError link", "REFUSED FileNotFoundError hard", "REFUSED OSError through"),
        ),
        # The next notebook must find none of it.
        Attack(
            "write_much_output",
            code("for _ in range(40):\n    display({'text/plain': 'x' * 10**6}, raw=True)\n    print('y' * 10**6)"),
            ALL,
        ),
        # A right answer, with a print in it for each time that it is called: what it hands in is kept.
        Attack(
            "write_in_answers",
            both(
                solved,
                own(
                    "_forward = forward\n\n\ndef forward(*arguments):\n"
                    "    print('x' * 200_000)\n    return _forward(*arguments)",
                    before="hand-in-question",
                ),
            ),
            ALL,
            problems=("not all that cell hand-in put out was kept",),
            says=("Not all that this cell put out is here.",),
            notebook=FUNCTIONS,
        ),
        # More than may be sent of a notebook, in several cells: what is shown is cut, and no cell is stopped.
        Attack(
            "write_in_all_cells",
            code(
                "print('\U0001f600' * 10**6)",
                **{name: f"print('\U0001f600' * 10**6)\n{source}" for name, source in ANSWERS.items()},
            ),
            ALL,
        ),
        Attack("write_program_output", code(ATTEMPT + "get_ipython().system('yes | head -c 100000000')"), ALL),
    ),
)
