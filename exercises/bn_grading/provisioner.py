"""Kernels in the sandbox, for anything that starts kernels: `bn-sandbox` among jupyter_client's kernel provisioners.

    JUPYTER_DEFAULT_PROVISIONER_NAME=bn-sandbox nbgrader autograde ps1

(It is jupyter_client's variable. The setting of that name does not reach the kernels that nbclient starts.)

The kernel, of any language, sees what a submission of `bn-grade` sees: no network, no home, a scratch folder that is
empty at the start, the same limits for each process and the same refused system calls. Nobody looks at what its
processes use together, and nobody ends it: that is for who started it. It talks to its client through sockets in a
folder of its own. Points of plain `nbgrader autograde` are still decided by what the kernel puts out; only `bn-grade`
judges outside of it.

Where there is no bubblewrap, `--SandboxProvisioner.container=IMAGE` runs it in a container of Podman or Docker, with
the limits of `bn-grade --container`. An image of `deploy/sandbox.Dockerfile` has a kernel for Python.
"""

import os
import secrets
import sys
from contextlib import ExitStack
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Unicode

from bn_grading import container as containers
from bn_grading import sandbox, seccomp
from bn_grading.command import private_folders
from bn_grading.container import Container
from bn_grading.execute import kit_folder, try_sandbox
from bn_grading.sandbox import Limits
from bn_grading.temporary import Folder


class SandboxProvisioner(LocalProvisioner):
    """Starts a kernel as jupyter_client does on this machine, but inside a sandbox."""

    container = Unicode("", help="An image; the kernel runs in a container of it, where there is no bubblewrap.").tag(
        config=True
    )
    engine = Unicode("", help="What starts containers: podman or docker; the first of them that is here.").tag(
        config=True
    )

    _folder: Folder | None = None
    _container: Container | None = None
    _name = ""
    _until_it_runs: ExitStack

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose sockets that reach into a sandbox, and put the kernel's command into one.

        Raises:
            NoSandboxError: where there is none.
        """
        if self.container:
            self._container = containers.of(self.container, self.engine)
            self._name = f"bn-kernel-{secrets.token_hex(8)}"
        else:
            try_sandbox()
        # Closed to other accounts of this machine: in it is the key with which one talks to the kernel.
        self._folder = Folder("bn-kernel-")
        folder = os.path.realpath(self._folder.name)
        share = os.path.join(folder, "shared")
        os.mkdir(share)
        manager: Any = self.parent
        manager.transport = "ipc"
        manager.ip = os.path.join(share, "socket")
        manager.connection_file = os.path.join(share, "kernel.json")
        kwargs = await super().pre_launch(**kwargs)
        self._until_it_runs = ExitStack()
        if self._container is not None:
            command = self._relayed(self._container, kwargs["cmd"], manager.connection_file)
            # Podman's helper leaves a file where it stands, of a container that ran out of memory.
            return kwargs | {"cmd": command, "cwd": folder}
        # The kernel makes its sockets here, under an account that it has only in the sandbox.
        os.chmod(share, 0o777)
        os.chmod(manager.connection_file, 0o644)
        refusals = self._until_it_runs.enter_context(seccomp.descriptor())
        limits = Limits()
        # Kernels run in the course, with nbgrader, and beside the notebook everywhere else.
        hidden = private_folders(self.config, os.getcwd())
        walls = sandbox.wrap(kit_folder(), limits, share=share, hidden=hidden, refusals=refusals)
        kwargs["cmd"] = [*walls, *sandbox.limited(limits), *kwargs["cmd"]]
        return kwargs | {
            "env": sandbox.environment(),
            "cwd": None,
            "pass_fds": () if refusals is None else (refusals,),
        }

    def _relayed(self, container: Container, command: list[str], file: str) -> list[str]:
        """What starts the kernel in a container; Python is the image's own."""
        program, *options = command
        program = "python" if os.path.basename(program).startswith("python") else program
        relay = [sys.executable, "-m", "bn_grading.relay", container.image, container.engine, self._name]
        return [*relay, str(kit_folder()), file, program, *options]

    async def post_launch(self, **kwargs: Any) -> None:
        """Close what the sandbox has read."""
        self._until_it_runs.close()
        await super().post_launch(**kwargs)

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the folder with the sockets."""
        await super().cleanup(restart)
        if self._container is not None:
            self._container.end(self._name)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
