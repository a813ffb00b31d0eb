"""Serve with scripted children: python scripted_server.py FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from scripted_child import start
from serving import TOKEN

from sopan.serve.server import Settings, say, serve

if __name__ == "__main__":
    serve(Settings(Path(sys.argv[1]), port=0, token=TOKEN, said=say), start)
