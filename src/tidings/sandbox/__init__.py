# SPDX-License-Identifier: MIT
"""Runs the JavaScript of customers in child processes without rights, network, files or much memory."""
