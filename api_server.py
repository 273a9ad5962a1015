"""Starts the server: `python api_server.py [MODEL] [--host ... --port ...]`, with any Python 3.

A thin wrapper of `flashweb serve`: makes `.venv` when it is missing, then continues inside it. Takes every flag of
`flashweb serve`; the page is also served on port 8000 unless --ui-port says otherwise. When our own server already
answers on the port, it says so and ends with 0.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap

if __name__ == "__main__":
    bootstrap.main([])
    arguments = ["-m", "flashweb", "serve", "--ui-port", "7860,8000"] + sys.argv[1:]
    os.execv(bootstrap.PYTHON, [bootstrap.PYTHON] + arguments)
