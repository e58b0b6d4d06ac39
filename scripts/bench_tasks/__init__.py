# SPDX-License-Identifier: MIT
"""Measure background tasks: their throughput, their resources, and their effect on live traffic."""
