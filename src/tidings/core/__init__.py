# SPDX-License-Identifier: MIT
"""Use cases: one function for one thing a user can do; each owns its transaction."""
