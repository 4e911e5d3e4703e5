"""The process that sends. `sender` starts it as the file `__main__.py`; nothing else imports it.

Locust patches the standard library, so here it is imported before anything else. Lines of JSON come on
stdin: first where each kind of request goes and what it carries (`sender.Work`), then, for every round, its
loads and the word to go. Lines on stdout: `{"ready": true}` after each of these, `{"sent": n}` as a round
runs, then its samples by kind.
"""
