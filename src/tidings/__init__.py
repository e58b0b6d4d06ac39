# SPDX-License-Identifier: MIT
"""A self-hosted webhook service that speaks the Svix API."""

__version__ = "0.1.0"
