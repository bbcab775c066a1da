#!/usr/bin/env bash
# docker compose with this project's file, from any directory: ./scripts/dc.sh up -d, ./scripts/dc.sh exec backend-dev pytest ...
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
if docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
elif command -v docker-compose >/dev/null; then
    compose=(docker-compose)
else
    echo "dc.sh: neither \`docker compose\` nor \`docker-compose\` is installed" >&2
    exit 127
fi
exec "${compose[@]}" --project-directory "$root" --file "$root/docker-compose.yml" "$@"
