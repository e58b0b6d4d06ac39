# SPDX-License-Identifier: MIT
"""A self-hosted webhook service that implements the Svix API."""

__version__ = "0.2.0"
