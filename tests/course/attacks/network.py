"""Attacks that talk to somebody: the network, sockets of this machine. The test listens, and must hear nothing."""

from .attack import ALL, Attack, Theme, code

NETWORK = Theme(
    "network",
    (
        Attack(
            "net_tcp",
            code(
                "import socket\n"
                'attempt("here", lambda: socket.create_connection(("127.0.0.1", @PORT@), timeout=1))\n'
                'attempt("there", lambda: socket.create_connection(("192.0.2.1", 80), timeout=1))\n'
                'attempt("six", lambda: socket.create_connection(("::1", @PORT@), timeout=1))\n'
                'attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", '
                '("192.0.2.1", 9)))'
            ),
            ALL,
            says=("REFUSED ConnectionRefusedError here", "REFUSED OSError there", "REFUSED OSError udp"),
        ),
        Attack(
            "net_names",
            code(
                "import socket, subprocess\n"
                'attempt("name", lambda: socket.getaddrinfo("example.com", 80))\n'
                'attempt("curl", lambda: subprocess.run(["curl", "-m", "1", "http://127.0.0.1:@PORT@"], check=True))'
            ),
            ALL,
            says=("REFUSED gaierror name", "curl"),
        ),
        Attack(
            "net_unix",
            code(
                "import socket\n"
                "def to(address):\n    s = socket.socket(socket.AF_UNIX)\n    s.connect(address)\n    return "
                "'through'\n"
                'attempt("abstract", lambda: to("\\0@ABSTRACT@"))\n'
                'attempt("path", lambda: to("@SOCKET@"))\n'
                'for path in ("/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket"):\n'
                '    attempt("service", lambda: to(path))'
            ),
            ALL,
            says=("REFUSED ConnectionRefusedError abstract", "REFUSED FileNotFoundError path"),
        ),
        # Around the network: to the host of a virtual machine, and into parts of the kernel that nobody needs here.
        Attack(
            "net_families",
            code(
                "import socket\n"
                "for family in range(64):\n    if family not in (1, 2, 10, 16):\n        for kind in range(1, 11):\n"
                "            attempt(f'family {family}', lambda: socket.socket(family, kind))\n"
                "for each in range(1, 32):\n    attempt(f'netlink {each}', lambda: socket.socket(16, 3, each))\n"
                "for protocol in (33, 132, 136, 262):\n    for kind in (1, 2, 5, 6):\n"
                "        attempt(f'protocol {protocol}', lambda: socket.socket(socket.AF_INET, kind, protocol))"
            ),
            ALL,
            says=("REFUSED PermissionError family 40", "REFUSED PermissionError protocol 132"),
        ),
        Attack(
            "net_netlink",
            code(
                "import socket, subprocess\n"
                "def up():\n    subprocess.run(['ip', 'link', 'add', 'x0', 'type', 'dummy'], check=True)\n    "
                "return 'up'\n"
                "def raw():\n    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n"
                'attempt("link", up)\nattempt("raw", raw)\n'
                'attempt("interfaces", lambda: [n for _, n in socket.if_nameindex() if n != "lo"] or None)'
            ),
            ALL,
            says=("REFUSED PermissionError raw", "REFUSED interfaces"),
        ),
    ),
)
