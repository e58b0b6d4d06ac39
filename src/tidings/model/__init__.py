# SPDX-License-Identifier: MIT
"""The domain types and rules: pure, synchronous, without input or output."""
