# What every script of the host knows.
set -uo pipefail
. /etc/sdocker/settings
socket=/run/sdocker/docker.sock
[[ ! -e /etc/sdocker/identity ]] || . /etc/sdocker/identity
folder=${shared_home:+${instance:+$shared_home/hosts/$instance}}
now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
at() { date -u -d "@$1" +%Y-%m-%dT%H:%M:%SZ; }
daemon() { timeout -s KILL "${patience:-60}" docker -H "unix://$socket" "$@"; }
# The shared folder may hang when its server does: nothing waits for it for long.
shared() { [[ -n $folder && -e /run/sdocker/mounted ]] && timeout -s KILL 10 "$@" 2>/dev/null; }
# A line of the status file; kept here until there is shared storage to write it to.
say() {
    local line
    line="$(now) ${*//[$'\n\r']/ }"
    echo "$line" >>/var/lib/sdocker/status
    if shared true; then
        shared bash -c 'tail -n "+$(($(cat "$1.sent" 2>/dev/null || echo 0) + 1))" "$1" >>"$2/status" && wc -l <"$1" >"$1.sent"' - /var/lib/sdocker/status "$folder"
    fi
}
