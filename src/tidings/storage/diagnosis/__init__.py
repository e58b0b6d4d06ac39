# SPDX-License-Identifier: MIT
"""Checks of a database that `tidings doctor` runs; none of them writes a row."""
