# SPDX-License-Identifier: BSD-2-Clause
"""A page's section on the paper's claims: the verdicts of claims.py by the results files of that page."""
import claims
import figures
import model
import report_sections as sections


def files(context, program):
    """The page's files under the blocks that figures.py knows them by."""
    paths = {figures.BLOCK_OF[kind]: item.path for kind, item in context.files.items() if kind in figures.BLOCK_OF}
    return figures.Files(paths, program)


def machines(context):
    """On what the figures were taken, and how user code ran where it is a matter of choice."""
    found = dict.fromkeys(f"{sections.machine_words(item.run)}." for kind, item in context.files.items() if kind != "exits")
    return " ".join([*found, "Exits: emulated CPUs. User code runs as `bt` chooses, but where an engine's name says how."])


def section(page, context):
    page.text("What Adams and Agesen say, judged by the files of this page: *reproduced* or *contradicted* by the rule in the row, *not testable here* "
              "where a figure that the rule needs is missing. Orders and ratios are judged, not cycles of two machines; exits are counted on "
              "**emulated silicon**; a back end of /dev/kvm that is not hardware judges nothing. The last column names the section of PAPER.md.")
    program = True
    try:
        model.ringside()
    except RuntimeError as error:
        program = False
        page.text(f"Predictions of the cost model are left out, on which no verdict rests: {error}", "missing")
    page.lines(claims.block(files(context, program)), "The paper's claims, by this run", scope=machines(context))
