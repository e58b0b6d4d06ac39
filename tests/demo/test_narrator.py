# SPDX-License-Identifier: MIT
"""The output of the demo where it is no terminal."""

import io

from rich.console import Console

from tidings.demo.narrator import Narrator


def test_a_plain_bar_prints_each_tenth_and_the_progress_at_which_it_stops() -> None:
    written = io.StringIO()
    with Narrator(Console(file=written, width=80)).bar("progress") as bar:
        for done in (0, 0, 5, 10, 19):
            bar.update(done, 100, f"{done} sent")
        bar.stop()
        bar.stop()

    assert [line.split()[0] for line in written.getvalue().splitlines()] == ["0", "10", "19"]
