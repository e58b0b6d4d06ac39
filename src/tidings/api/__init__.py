# SPDX-License-Identifier: MIT
"""The HTTP API: maps requests to use cases and what comes of them to answers; decides nothing itself."""
