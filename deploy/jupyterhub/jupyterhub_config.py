"""One class on one Linux machine: everybody has an account there, and one of them is the instructor's.

Everything runs from the book's environment, with JupyterHub installed into it, so each server has the exercises and
`bn-grade`. A server runs as its owner: a student's code reaches what the student's account reaches.
"""

from pathlib import Path

c = get_config()  # noqa: F821 - JupyterHub puts it there

INSTRUCTOR = "teacher"  # the account that releases and grades
STUDENTS = "students"  # the group of accounts that may log in beside it
BOOK = Path("/srv/batch-normalization")
BIN = BOOK / ".venv/bin"

# Only the proxy that adds TLS reaches the hub: passwords pass here.
c.JupyterHub.bind_url = "http://127.0.0.1:8000"

# The passwords are those of the machine. Nobody may log in unless it is said here.
c.JupyterHub.authenticator_class = "pam"
c.Authenticator.allowed_users = {INSTRUCTOR}
c.LocalAuthenticator.allowed_groups = {STUDENTS}


def config_path(spawner):
    """A student's menu has the list of assignments: the folder takes away what only an instructor needs."""
    return "" if spawner.user.name == INSTRUCTOR else str(BOOK / "deploy/jupyterhub/students")


c.Spawner.cmd = [str(BIN / "jupyterhub-singleuser")]
c.Spawner.environment = {"PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin", "JUPYTER_CONFIG_PATH": config_path}

c.Spawner.args = [
    # Terminals find `nbgrader` and `bn-grade`. As a login shell, which is usual, bash would set PATH anew.
    "--ServerApp.terminado_settings={'shell_command': ['/bin/bash']}",
    # Formgrader is a page in a frame of JupyterLab, and JupyterHub forbids frames unless it is told otherwise.
    """--ServerApp.tornado_settings={'headers': {'Content-Security-Policy': "frame-ancestors 'self'"}}""",
]
