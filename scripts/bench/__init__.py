# SPDX-License-Identifier: MIT
"""Measures the service on this machine: `make bench`. Method and figures: docs/benchmarks.md."""
