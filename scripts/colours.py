# SPDX-License-Identifier: BSD-2-Clause
"""The colours of the pictures, one for each thing wherever it is drawn. They were searched for so that any two of a picture differ for
readers with each kind of colour vision (tests/scripts/test_colours.py)."""

ENGINES = {"native": "#4d4d4d", "interp": "#1c46b7", "bt": "#0ba566", "vtx": "#f26100", "bt:user=direct": "#aff0ae",
           "bt:user=translated": "#0b2a0d", "qemu-tcg": "#b37a9d", "bochs": "#9a420d"}
PAPER = {"native": "#d0d0d0", "software VMM": "#94b2f6", "hardware VMM": "#edcd68"}
OTHERS = ["#b37a9d", "#9a420d"]  # of an engine that is not in the list
EVENTS = {"syscall": "#1c46b7", "in/out": "#f26100", "cr8wr": "#b37a9d", "callret": "#94b2f6", "pgfault": "#0ba566",
          "ptemod": "#edcd68", "divzero": "#9a420d", "cr3wr": "#66ccee", "invlpg": "#aa3377", "translate": "#4d4d4d",
          "natively": "#ffffb3", "unexplained": "#d9d9d9"}
MONITORS = {"bt": "#0ba566", "hw-shadow": "#f26100", "hw-shadow-unsync": "#edcd68", "hw-shadow-clustered": "#9a420d",
            "hw-nested": "#1c46b7", "hybrid": "#b37a9d", "paravirtual": "#4d4d4d"}
