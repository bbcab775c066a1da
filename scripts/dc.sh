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
# Compose would take 70000 as it is, and call a word "an invalid type".
port=${WEB_PORT:-}
if [ -z "$port" ] && [ -r "$root/.env" ]; then
    port=$(sed -n -E "s/^[[:space:]]*(export[[:space:]]+)?WEB_PORT[[:space:]]*=[[:space:]]*[\"']?([^\"'#]*).*/\2/p" "$root/.env" | tail -n 1)
    port=${port%%[[:space:]]}
fi
if [ -n "$port" ] && ! { [[ $port =~ ^[0-9]{1,5}$ ]] && ((10#$port >= 1 && 10#$port <= 65535)); }; then
    echo "dc.sh: WEB_PORT cannot be used; allowed: a whole number from 1 to 65535." >&2
    exit 2
fi
exec "${compose[@]}" --project-directory "$root" --file "$root/docker-compose.yml" "$@"
