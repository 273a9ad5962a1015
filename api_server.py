"""Starts the server: `python api_server.py [MODEL] [--host ... --port ...]`, with any Python 3.

A thin wrapper of `flashweb serve`: makes `.venv` when it is missing, then continues inside it. Takes every flag of
`flashweb serve`; the page is also served on port 8000 unless --ui-port or FLASHWEB_UI_PORT says otherwise. When our
own server already answers on the port, it says so and ends with 0.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap

if __name__ == "__main__":
    bootstrap.main([])
    named = "FLASHWEB_UI_PORT" in os.environ or any(word.partition("=")[0] == "--ui-port" for word in sys.argv)
    ports = [] if named else ["--ui-port", "7860,8000"]
    os.execv(bootstrap.PYTHON, [bootstrap.PYTHON, "-m", "flashweb", "serve"] + ports + sys.argv[1:])
