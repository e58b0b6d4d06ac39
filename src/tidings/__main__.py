# SPDX-License-Identifier: MIT
"""`python -m tidings` is the command `tidings`."""

from tidings.cli.main import main

main()
