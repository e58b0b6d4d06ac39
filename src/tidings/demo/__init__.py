# SPDX-License-Identifier: MIT
"""`tidings demo`: webhooks, an outage and a recovery, on one machine."""
