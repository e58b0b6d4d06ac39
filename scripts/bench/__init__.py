# SPDX-License-Identifier: MIT
"""Measure the service on this machine (`make bench`). Method and figures: docs/benchmarks.md."""
