"""One class on one Linux machine, where everybody has an account.

Everything runs from the book's environment, with JupyterHub in it, so each
server has the exercises and `bn-grade`. A server runs as its owner: a student's
code reaches what the student's account reaches.
"""

from pathlib import Path

c = get_config()  # noqa: F821 - JupyterHub puts it there

INSTRUCTOR = "teacher"  # the account that releases and grades
STUDENTS = "students"  # the group of accounts that may log in beside it
BOOK = Path("/srv/batch-normalization")
BIN = BOOK / ".venv/bin"

# Only the proxy that adds TLS reaches the hub: passwords pass here.
c.JupyterHub.bind_url = "http://127.0.0.1:8000"

# The passwords are those of the machine. Who is not named here stays out.
c.JupyterHub.authenticator_class = "pam"
c.Authenticator.allowed_users = {INSTRUCTOR}
c.LocalAuthenticator.allowed_groups = {STUDENTS}


def config_path(spawner):
    """Take what only an instructor needs out of a student's menu."""
    if spawner.user.name == INSTRUCTOR:
        return ""
    return str(BOOK / "deploy/jupyterhub/students")


c.Spawner.cmd = [str(BIN / "jupyterhub-singleuser")]
c.Spawner.environment = {
    "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin",
    "JUPYTER_CONFIG_PATH": config_path,
}

# JupyterHub forbids frames, and formgrader is a page in a frame of JupyterLab.
FRAMES = {"headers": {"Content-Security-Policy": "frame-ancestors 'self'"}}
# As a login shell, which is usual in terminals, bash would set PATH anew.
SHELL = {"shell_command": ["/bin/bash"]}
c.Spawner.args = [
    f"--ServerApp.tornado_settings={FRAMES}",
    f"--ServerApp.terminado_settings={SHELL}",
]
