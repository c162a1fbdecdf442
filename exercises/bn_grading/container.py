"""A container as the sandbox, where there is no bubblewrap: macOS, and Linux that forbids namespaces.

Podman or Docker starts it from an image that holds Python and its packages (`deploy/sandbox.Dockerfile`). What enters,
what leaves and how long it may take is as in `sandbox`; memory and processes are limited by the engine. It is slower:
a container takes longer to start than bubblewrap.
"""

import itertools
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bn_grading.places import INSIDE, SCRATCH
from bn_grading.sandbox import MIB, Limits, NoSandboxError, environment

ENGINES = ("podman", "docker")
_SECONDS_TO_END = 30

# The kernel counts processes for an account. An engine without root has 65,536 accounts.
_accounts = itertools.count(os.getpid() * 64)


@dataclass(frozen=True)
class Container:
    """What containers are made of.

    Attributes:
        image: a name that the engine knows; nothing is fetched from anywhere.
        engine: "podman" or "docker".
    """

    image: str
    engine: str

    def command(self, inside: Path, limits: Limits, name: str) -> list[str]:
        """What starts `inside/zygote.py` in a container of that name."""
        account = 20_000 + next(_accounts) % 40_000
        made = [self.engine, "run", "--rm", "--interactive", "--name", name, "--pull", "never"]
        made += ["--network", "none", "--ipc", "private", "--hostname", "sandbox", "--log-driver", "none"]
        made += ["--user", f"{account}:{account}", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        made += ["--memory", f"{limits.memory // MIB}m", "--memory-swap", f"{limits.memory // MIB}m"]
        made += ["--pids-limit", str(limits.processes), "--ulimit", f"nproc={limits.processes}:{limits.processes}"]
        made += ["--ulimit", f"nofile={limits.files}:{limits.files}"]
        made += ["--read-only", "--shm-size", str(limits.scratch)]
        # Podman makes more folders that can be written to than Docker does.
        made += ["--read-only-tmpfs=false"] if self.engine == "podman" else []
        # Some engines know the mode, others take that of the image's folder.
        for path in (SCRATCH, "/tmp"):
            made += ["--tmpfs", f"{path}:rw,nosuid,nodev,mode=1777,size={limits.scratch}"]
        # z: for students' processes to read, where SELinux asks.
        made += ["--volume", f"{inside}:{INSIDE}:ro,z", "--workdir", SCRATCH]
        for variable, value in environment().items():
            # Where the programs are, the image knows.
            made += ["--env", f"{variable}={value}"] if variable != "PATH" else []
        return [*made, "--entrypoint", "python", self.image, "-I", "-B", f"{INSIDE}/zygote.py", INSIDE, SCRATCH]

    def end(self, name: str) -> None:
        """End a container that was started with that name, if there is one still, and everything in it."""
        subprocess.run([self.engine, "kill", name], capture_output=True, check=False, timeout=_SECONDS_TO_END)


def of(image: str, engine: str) -> Container:
    """A container of that image, by that engine; by the first that is there, if none is named.

    Raises:
        NoSandboxError: if the engine is not there, or does not know the image.
    """
    engine = engine or next((each for each in ENGINES if shutil.which(each)), "")
    if not engine or not shutil.which(engine):
        raise NoSandboxError(f"there is no {engine or ' and no '.join(ENGINES)} here, to run a container of {image!r}.")
    known = subprocess.run([engine, "image", "inspect", image], capture_output=True, text=True, check=False)
    if known.returncode:
        raise NoSandboxError(
            f"{engine} has no image {image!r}: {known.stderr.strip()}\nBuild it, from the folder of the book: "
            f"{engine} build --file deploy/sandbox.Dockerfile --tag {image} ."
        )
    return Container(image, engine)
