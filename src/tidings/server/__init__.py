# SPDX-License-Identifier: MIT
"""One process of the service: creates all parts and connects them, and starts and stops them."""
