# SPDX-License-Identifier: MIT
"""The filtered lists: of messages, of the attempts at an endpoint, and of the messages attempted at one.

Other packages use these four functions only.
"""

from tidings.storage.lists.attempts import count as count_attempts
from tidings.storage.lists.attempts import page as page_of_attempts
from tidings.storage.lists.attempts import page_of_attempted_messages
from tidings.storage.lists.messages import page as page_of_messages

__all__ = ["count_attempts", "page_of_attempted_messages", "page_of_attempts", "page_of_messages"]
