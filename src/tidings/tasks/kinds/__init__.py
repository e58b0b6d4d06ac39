# SPDX-License-Identifier: MIT
"""The kinds of background task, one file for each."""
