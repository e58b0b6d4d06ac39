# SPDX-License-Identifier: MIT
"""`tidings demo`: webhooks, an outage and its repair, on one machine and for one viewer."""
