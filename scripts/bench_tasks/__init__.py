# SPDX-License-Identifier: MIT
"""How background tasks fare: how fast they work, what they take, and what they do to live traffic beside them."""
