# SPDX-License-Identifier: MIT
"""The two database drivers, transactions, migrations and partitions, behind one interface."""
