# SPDX-License-Identifier: MIT
"""Filtered lists of messages and attempts, and the index that keeps them fast."""
