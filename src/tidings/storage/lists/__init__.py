# SPDX-License-Identifier: MIT
"""The filtered lists: messages, attempts at an endpoint, the messages attempted at one, and undelivered messages.

Other packages use these functions only.
"""

from tidings.storage.lists.attempts import count as count_attempts
from tidings.storage.lists.attempts import page as page_of_attempts
from tidings.storage.lists.attempts import page_of_attempted_messages
from tidings.storage.lists.messages import page as page_of_messages
from tidings.storage.lists.undelivered import UndeliveredScope, UndeliveredWindow
from tidings.storage.lists.undelivered import first_page as first_page_of_undelivered
from tidings.storage.lists.undelivered import page as page_of_undelivered
from tidings.storage.lists.undelivered import summary as summary_of_undelivered

__all__ = [
    "UndeliveredScope",
    "UndeliveredWindow",
    "count_attempts",
    "first_page_of_undelivered",
    "page_of_attempted_messages",
    "page_of_attempts",
    "page_of_messages",
    "page_of_undelivered",
    "summary_of_undelivered",
]
