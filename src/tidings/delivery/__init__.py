# SPDX-License-Identifier: MIT
"""Delivery: claim due deliveries, send them over HTTP, and settle the attempt outcomes."""
