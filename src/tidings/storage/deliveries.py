# SPDX-License-Identifier: MIT
"""Outstanding work: one row for each message that an endpoint has yet to get."""
