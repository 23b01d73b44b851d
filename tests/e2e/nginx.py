"""A real nginx with examples/nginx.conf, but for its ports and one limit of time."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import ROOT, Server, free_port, wait_until_ready

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
"""None where there is none."""


@contextmanager
def nginx_before(server: Server, prefix: Path, changes: Mapping[str, str]) -> Iterator[str]:
    """Run it in front of ``server``, under the folder ``prefix``; yield its URL. ``changes`` are further ones to the file."""
    assert NGINX
    port, text = free_port(), (ROOT / "examples" / "nginx.conf").read_text()
    own = {"127.0.0.1:3000": server.url.removeprefix("http://"), "listen 8080": f"listen 127.0.0.1:{port}"}
    for old, new in {**own, "client_header_timeout 10s": "client_header_timeout 1s", **changes}.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (prefix / "nginx.conf").write_text(text)
    # its workers would be nobody, who may not enter a folder of pytest's
    options = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    with (prefix / "log").open("wb") as log:
        command = [NGINX, "-p", str(prefix), "-c", str(prefix / "nginx.conf"), "-g", options]
        process = subprocess.Popen(command, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(Server(url, process, prefix / "log"))
        yield url
    finally:
        process.terminate()
        process.wait(30)
