# SPDX-License-Identifier: MIT
"""The use of ASGI that the API and the pages share: bodies, streams, large responses, and the location of a request."""
