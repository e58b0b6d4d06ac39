# SPDX-License-Identifier: MIT
"""The pages: the portal of an application's users, and the console of operators and organizations.

Pages are rendered on the server and call the use cases of `core`, as the API does; nothing here imports `api`.

- `view.py` declares a page: method, path, capability, handler. The path decides in which shells it appears.
- `site.py` serves the table of views: finds the view, checks session, capability and form token, and renders errors.
- `request.py` is what a handler receives, and `response.py` what it returns.
- `sessions.py` has the cookies and the form tokens; `sign_in.py` the pages that set and delete them.
- `rendering.py` has the templates' environment; `formats.py` and `charts.py` the texts and pictures in them.
- `live.py` sends parts of pages again when they change.
- `assets.py` serves the stylesheet and the scripts.
"""
