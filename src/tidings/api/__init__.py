# SPDX-License-Identifier: MIT
"""The HTTP API: maps requests to use cases and their results to responses, and contains no business rules."""
