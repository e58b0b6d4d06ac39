# SPDX-License-Identifier: MIT
"""The processes of one `serve`: listening sockets, workers, their supervisor, and the shutdown."""
