"""Kernels in the sandbox, for anything that starts kernels: `bn-sandbox` among jupyter_client's kernel provisioners.

    nbgrader autograde ps1 --KernelProvisionerFactory.default_provisioner_name=bn-sandbox

The kernel, of any language, sees what a submission of `bn-grade` sees: no network, no home, a scratch folder that is
empty at the start, and the same limits. It talks to its client through sockets in a folder of its own. Points of plain
`nbgrader autograde` are still decided by what the kernel puts out; only `bn-grade` judges outside of it.
"""

import os
import shutil
import tempfile
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from bn_grading import sandbox
from bn_grading.execute import kit_folder
from bn_grading.sandbox import Limits


class SandboxProvisioner(LocalProvisioner):
    """Starts a kernel as jupyter_client does on this machine, but inside a sandbox."""

    _folder = ""

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose sockets that reach into a sandbox, and put the kernel's command into one.

        Raises:
            NoSandboxError: where there is none.
        """
        sandbox.refuse_without_sandbox()
        self._folder = tempfile.mkdtemp(prefix="bn-kernel-")
        # The kernel makes its sockets here, under an account that it has only in the sandbox.
        os.chmod(self._folder, 0o777)
        manager: Any = self.parent
        manager.transport = "ipc"
        manager.ip = os.path.join(self._folder, "socket")
        manager.connection_file = os.path.join(self._folder, "kernel.json")
        kwargs = await super().pre_launch(**kwargs)
        os.chmod(manager.connection_file, 0o644)
        limits = Limits()
        inside = [*sandbox.wrap(kit_folder(), limits, share=self._folder), *sandbox.limited(limits), *kwargs["cmd"]]
        return kwargs | {"cmd": inside, "env": sandbox.environment(), "cwd": None}

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the folder with the sockets."""
        await super().cleanup(restart)
        shutil.rmtree(self._folder, ignore_errors=True)
