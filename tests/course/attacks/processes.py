"""Attacks on the process that runs them and on its neighbours: endings, signals, loops, forks, the kernel's doors."""

from ..conftest import answers
from .attack import ALL, ANSWERS, ATTEMPT, Attack, Theme, both, code, own

_VAR_LOST = ALL - 2
_CALL = """\
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)

def call(function, *arguments):
    if getattr(libc, function)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), function)
    return "done"

"""

PROCESSES = Theme(
    "processes",
    (
        # How a process ends.
        Attack("end_exit", code("import os\nos._exit(0)"), ALL, stopped=1),
        # In an answer's cell: that answer is lost, and no other.
        Attack("end_exit_answer", code("1", var="var = X.var(axis=0)\nimport os\nos._exit(3)"), _VAR_LOST, stopped=1),
        Attack("end_polite", code("import sys\nsys.exit(0)"), ALL),
        Attack("end_exit_call", code("exit()\nquit()"), ALL),
        Attack("end_system_exit", code("raise SystemExit('done')"), ALL),
        Attack("end_keyboard", code("raise KeyboardInterrupt"), ALL),
        Attack("end_base", code("class Mine(BaseException):\n    def __str__(self): raise self\nraise Mine"), ALL),
        Attack("end_segfault", code("import ctypes\nctypes.string_at(0)"), ALL, stopped=1),
        Attack("end_abort", code("import faulthandler\nfaulthandler.enable()\nimport os\nos.abort()"), ALL, stopped=1),
        Attack(
            "end_atexit", code("import atexit, os\natexit.register(os._exit, 3)\natexit.register(print, 'GOT')"), ALL
        ),
        Attack("end_recursion", code("def deeper(): return deeper()\ndeeper()"), ALL),
        Attack(
            "end_recursion_c",
            code(
                "import sys\nsys.setrecursionlimit(10**9)\ndef deeper(): return [*map(lambda _: deeper(), "
                "[0])]\ndeeper()"
            ),
            ALL,
            stopped=1,
        ),
        Attack("end_descriptors", code("import os\nos.closerange(0, 256)"), ALL, stopped=1),
        Attack("end_stdout", code("import sys\nsys.stdout = sys.stderr = None\ndel sys.displayhook"), ALL),
        Attack(
            "end_threads", code("import threading, time\nthreading.Thread(target=time.sleep, args=(999,)).start()"), ALL
        ),
        # Signals. The first process is the parent, and takes none from inside.
        Attack("kill_parent", code("import os\nos.kill(os.getppid(), 9)"), ALL),
        Attack("kill_parent_softly", code("import os\nfor each in range(1, 65):\n    os.kill(1, each)"), ALL),
        Attack("kill_all", code("import os\nos.kill(-1, 9)"), ALL),
        Attack("kill_threads", code("import os\nfor each in os.listdir('/proc/1/task'): os.kill(int(each), 9)"), ALL),
        Attack("kill_group", code("import os\nos.killpg(0, 9)"), ALL, stopped=1),
        Attack("kill_stop_parent", code("import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)"), ALL),
        Attack("kill_stop_self", code("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"), ALL, stopped=1),
        # The grader writes to one that has to read on, and more than a pipe holds.
        Attack(
            "kill_stop_forge",
            code(
                "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\n"
                "for descriptor in range(3, 64):\n    try:\n"
                "        os.write(descriptor, b'\\n{\"ended\": 0}\\n')\n    except OSError:\n        pass\n"
                "os._exit(0)\n#" + "x" * 200_000
            ),
            ALL,
            stopped=1,
        ),
        # Loops.
        Attack("loop", code("1", var="var = X.var(axis=0)\nwhile True: pass"), ALL),
        Attack(
            "loop_catches",
            code("import time\nwhile True:\n    try:\n        time.sleep(9)\n    except BaseException: pass"),
            ALL,
            stopped=1,
        ),
        Attack(
            "loop_ignores",
            code(
                "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
                "signal.signal(signal.SIGINT, signal.SIG_IGN)\nimport time\ntime.sleep(10**6)"
            ),
            ALL,
            stopped=1,
        ),
        Attack("loop_prints", code("while True: print('x' * 1000)"), ALL, problems=()),
        Attack("loop_writes", code("import os\nwhile True: os.write(1, b'x' * 10**6)"), ALL),
        Attack("loop_displays", code("while True: display({'text/plain': 'x' * 100}, raw=True)"), ALL),
        # The time for the notebook is over in its first cells, and no more than that is used.
        Attack(
            "loop_everywhere",
            both(answers(**ANSWERS), *[own("import time\ntime.sleep(30)")] * 8),
            0,
            problems=("longer than 20 s", "did not run to its end"),
            stopped=None,
        ),
        # Forks, and what outlives its parent.
        Attack(
            "fork_bomb",
            code(
                "import os\ntry:\n    while True:\n        if os.fork() == 0:\n            import time; "
                "time.sleep(99)\n"
                "except OSError:\n    print('REFUSED a fork')"
            ),
            ALL,
            says=("REFUSED a fork",),
        ),
        Attack("fork_both", code("import os\nos.fork()"), ALL),
        Attack(
            "fork_threads",
            code("import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(9,)).start()"),
            ALL,
        ),
        Attack(
            "fork_orphan",
            code(
                "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
                "        import signal\n        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n        "
                "time.sleep(9999)\n"
                "    os._exit(0)"
            ),
            ALL,
        ),
        Attack(
            "fork_shell",
            code("import subprocess\nsubprocess.Popen('nohup sh -c \"while true; do sleep 1; done\" &', shell=True)"),
            ALL,
        ),
        # The kernel's doors.
        Attack(
            "kernel_namespaces",
            code(
                f"{ATTEMPT}{_CALL}"
                "for what, flag in {'user': 0x10000000, 'mount': 0x20000, 'net': 0x40000000, 'pid': "
                "0x20000000}.items():\n"
                "    attempt(what, lambda: call('unshare', flag))\n"
                "attempt('tmpfs', lambda: call('mount', b'none', b'/tmp', b'tmpfs', 0, b'size=10G'))\n"
                "attempt('writable', lambda: call('mount', b'none', b'/inside', None, 32, None))\n"
                "attempt('off', lambda: call('umount2', b'/tmp', 2))\n"
                "import subprocess\n"
                "attempt('unshare', lambda: subprocess.run(['unshare', '-Ur', 'true'], check=True))"
            ),
            ALL,
            says=("REFUSED PermissionError user", "REFUSED PermissionError tmpfs", "REFUSED PermissionError writable"),
        ),
        Attack(
            "kernel_ptrace",
            code(
                f"{ATTEMPT}{_CALL}attempt('parent', lambda: call('ptrace', 16, os.getppid(), None, None))\n"
                "attempt('first', lambda: call('ptrace', 16, 1, None, None))\n"
                "libc.prctl(4, 1)\n"
                "attempt('parent again', lambda: call('ptrace', 16, os.getppid(), None, None))"
            ),
            ALL,
            says=("REFUSED PermissionError parent", "REFUSED PermissionError first"),
        ),
        Attack(
            "kernel_rights",
            code(
                f"{ATTEMPT}{_CALL}"
                "for name in ('setuid', 'setgid'):\n    attempt(name, lambda: call(name, 0))\n"
                "attempt('chroot', lambda: call('chroot', b'/scratch'))\n"
                "attempt('host', lambda: call('sethostname', b'x', 1))\n"
                "attempt('key', lambda: call('keyctl', 0, -3, 0))\n"
                "import subprocess\nattempt('su', lambda: subprocess.run(['su', '-c', 'true'], check=True, "
                "stdin=subprocess.DEVNULL))\n"
                "attempt('node', lambda: os.mknod('/scratch/disk', 0o60666, os.makedev(254, 0)))\n"
                "attempt('nice', lambda: os.nice(-10))"
            ),
            ALL,
            says=("REFUSED PermissionError setuid", "REFUSED PermissionError chroot", "REFUSED PermissionError node"),
        ),
        # What the next notebook would have from the process that all are copies of.
        Attack(
            "kernel_others",
            code(
                f"{ATTEMPT}{_CALL}import resource\n"
                "attempt('limit', lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (3, 3)))\n"
                "attempt('processors', lambda: os.sched_setaffinity(1, {0}) or 'set')\n"
                "attempt('scheduler', lambda: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0)) or 'set')\n"
                "for which, who in ((os.PRIO_PROCESS, 1), (os.PRIO_PGRP, 1), (os.PRIO_USER, 0)):\n"
                "    attempt(f'priority {which}', lambda: os.setpriority(which, who, 19) or 'set')"
            ),
            ALL,
            says=("REFUSED PermissionError limit", "REFUSED PermissionError processors", "REFUSED PermissionError pri"),
        ),
        Attack(
            "kernel_limits",
            code(
                "import resource as r\n"
                "for name in ('AS', 'NPROC', 'FSIZE', 'NOFILE', 'CPU', 'MEMLOCK', 'CORE'):\n"
                "    kind = getattr(r, 'RLIMIT_' + name)\n"
                "    attempt(name, lambda: r.setrlimit(kind, (r.RLIM_INFINITY, r.RLIM_INFINITY)) or 'set')"
            ),
            ALL,
            says=("REFUSED ValueError AS", "REFUSED ValueError NPROC"),
        ),
    ),
)
