#!/usr/bin/env bash
# 一键启动: ./1键推理.sh [模型] [参数...]   One click: sets up what is missing, then serves [MODEL] with the given flags.
exec "${PYTHON:-python3}" "$(dirname -- "${BASH_SOURCE[0]}")/api_server.py" "$@"
