# SPDX-License-Identifier: MIT
"""The commands of the `tidings` command line."""
