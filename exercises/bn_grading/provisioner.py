"""Kernels in the sandbox, for anything that starts kernels: `bn-sandbox` among jupyter_client's kernel provisioners.

    nbgrader autograde ps1 --KernelProvisionerFactory.default_provisioner_name=bn-sandbox

The kernel, of any language, sees what a submission of `bn-grade` sees: no network, no home, a scratch folder that is
empty at the start, the same limits for each process and the same refused system calls. Nobody looks at what its
processes use together, and nobody ends it: that is for who started it. It talks to its client through sockets in a
folder of its own. Points of plain `nbgrader autograde` are still decided by what the kernel puts out; only `bn-grade`
judges outside of it.
"""

import os
import shutil
import tempfile
from contextlib import ExitStack
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from bn_grading import sandbox, seccomp
from bn_grading.command import private_folders
from bn_grading.execute import kit_folder
from bn_grading.sandbox import Limits


class SandboxProvisioner(LocalProvisioner):
    """Starts a kernel as jupyter_client does on this machine, but inside a sandbox."""

    _folder = ""
    _until_it_runs: ExitStack

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose sockets that reach into a sandbox, and put the kernel's command into one.

        Raises:
            NoSandboxError: where there is none.
        """
        sandbox.refuse_without_sandbox()
        # Closed to other accounts of this machine: in it is the key with which one talks to the kernel.
        self._folder = tempfile.mkdtemp(prefix="bn-kernel-")
        share = os.path.join(self._folder, "shared")
        os.mkdir(share)
        # The kernel makes its sockets here, under an account that it has only in the sandbox.
        os.chmod(share, 0o777)
        manager: Any = self.parent
        manager.transport = "ipc"
        manager.ip = os.path.join(share, "socket")
        manager.connection_file = os.path.join(share, "kernel.json")
        kwargs = await super().pre_launch(**kwargs)
        os.chmod(manager.connection_file, 0o644)
        self._until_it_runs = ExitStack()
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

    async def post_launch(self, **kwargs: Any) -> None:
        """Close what the sandbox has read."""
        self._until_it_runs.close()
        await super().post_launch(**kwargs)

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the folder with the sockets."""
        await super().cleanup(restart)
        shutil.rmtree(self._folder, ignore_errors=True)
