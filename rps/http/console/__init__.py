"""The console: pages for people, by an application of its own.

It knows people by the session that their browser's cookie names, and no tokens; the API
knows tokens, and no cookies.
"""
