# SPDX-License-Identifier: MIT
"""The engine of background tasks. The effects and the progress of a chunk commit in one transaction."""
