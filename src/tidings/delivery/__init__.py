# SPDX-License-Identifier: MIT
"""Sends what is due and records what came of it."""
