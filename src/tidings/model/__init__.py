# SPDX-License-Identifier: MIT
"""What things are and the rules between them: pure, synchronous, no input or output."""
