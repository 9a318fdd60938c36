"""Download source distributions into a folder: ``fetch_sources.py FOLDER NAME==VERSION …``, from the index pip uses.

``pip download`` would run their setup.py to learn the requirements, and those of the Mamba kernels need CUDA for that.
The standard library alone, for machines that have nothing yet.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urldefrag, urljoin


def fetch(folder: Path, index: str, name: str, version: str) -> Path:
    """The sdist of a package from a PEP 503 index, checked against the hash there; an existing file is kept.

    Raises:
        OSError: the index cannot be reached, has no such file, or what came is not what it says.
    """
    path = folder / f"{name.replace('-', '_')}-{version}.tar.gz"
    if path.is_file():
        return path
    page = f"{index.rstrip('/')}/{name}/"
    with urllib.request.urlopen(page, timeout=60) as answer:
        links = re.findall(r'href="([^"]+)"', answer.read().decode())
    addresses = [urldefrag(urljoin(page, link)) for link in links]
    found = [address for address in addresses if address.url.endswith(f"/{path.name}")]
    if not found:
        raise OSError(f"the index of pip has no {path.name}")
    with urllib.request.urlopen(found[0].url, timeout=60) as answer:
        content = answer.read()
    digest = found[0].fragment.removeprefix("sha256=")
    if digest and hashlib.sha256(content).hexdigest() != digest:
        raise OSError(f"{path.name} is damaged: its SHA-256 is not the one of the index")
    path.write_bytes(content)
    return path


def index_of_pip() -> str:
    """The address that pip is configured to use."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True
    )
    return asked.stdout.strip() or "https://pypi.org/simple"


if __name__ == "__main__":
    for pin in sys.argv[2:]:
        print(fetch(Path(sys.argv[1]), index_of_pip(), *pin.split("==")))
