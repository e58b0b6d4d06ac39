# SPDX-License-Identifier: MIT
"""Rows: the two database drivers, the migrations and the stores; the only package that holds SQL."""
