# SPDX-License-Identifier: MIT
"""`python -m tidings` runs the command `tidings`."""

from tidings.cli.main import main

main()
