# SPDX-License-Identifier: MIT
"""The routes that list, follow and control background tasks; each kind declares the route that starts it."""
