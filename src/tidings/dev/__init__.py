# SPDX-License-Identifier: MIT
"""`tidings dev`: the service for one developer, with a sample application, an inbox and a sign-in link."""
