# SPDX-License-Identifier: BSD-2-Clause
"""How a script starts and ends: `entry.run(main, __doc__)`."""
import os
import subprocess
import sys


def run(main, doc=None, *errors):
    """Ends the process with what main says of the words behind the script's name. `--help` alone prints `doc`, where the script has
    no help of its own. What a file or the host makes wrong is one line and status 1; `errors`: what else is."""
    words = sys.argv[1:]
    if doc and words in (["-h"], ["--help"]):
        print(doc.strip())
        sys.exit(0)
    try:
        sys.exit(main(words))
    except (OSError, ValueError, RuntimeError, subprocess.SubprocessError, *errors) as error:
        print(f"{os.path.basename(sys.argv[0]).removesuffix('.py')}: {error}", file=sys.stderr)
        sys.exit(1)
