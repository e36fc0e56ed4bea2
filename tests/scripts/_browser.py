# SPDX-License-Identifier: BSD-2-Clause
"""Headless Chromium for tests of a page; scripts/report.py must be importable."""
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile

import report

BROWSERS = ["chromium-headless-shell", "chromium", "google-chrome"]
SECONDS = 300  # for what hangs


def found():
    """The browser's name; a test ends here where there is none."""
    name = next(filter(shutil.which, BROWSERS), None)
    if not name:
        print("skip no Chromium here (scripts/setup.sh --browser)")
        sys.exit(0)
    return name


def browse(browser, path, *options):
    """stdout and stderr; no request can leave, whatever the page asks for."""
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", f"--user-data-dir={profile}",
                   "--proxy-server=127.0.0.1:9", "--enable-logging=stderr", *options, "file://" + os.path.abspath(path)]
        made = subprocess.run(command, capture_output=True, timeout=SECONDS)
    return made.stdout.decode(errors="replace"), made.stderr.decode(errors="replace")


def page(results, folder):
    """The text of the report made from a results file."""
    path = os.path.join(folder, "page.html")
    with contextlib.redirect_stdout(io.StringIO()):
        report.main([results, f"--out={path}"])
    with open(path, encoding="utf-8") as file:
        return file.read()
