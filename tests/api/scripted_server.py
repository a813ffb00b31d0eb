"""Serve with scripted children: python scripted_server.py FOLDER."""

from __future__ import annotations

import sys

from scripted_child import start
from serving import TOKEN

from sopan.options.classify import ServeOptions
from sopan.serve.server import serve

if __name__ == "__main__":
    serve(ServeOptions(sys.argv[1], port=0, token=TOKEN), start)
