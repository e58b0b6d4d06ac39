# SPDX-License-Identifier: MIT
"""Metrics of the service in the Prometheus text format, from the counters that it keeps."""
