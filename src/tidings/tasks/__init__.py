# SPDX-License-Identifier: MIT
"""The engine of background tasks: who works on which, in chunks whose effects and progress commit together."""
