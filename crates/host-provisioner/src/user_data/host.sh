# What every script of the host knows.
set -uo pipefail
. /etc/sdocker/settings
socket=/run/sdocker/docker.sock
tls=(--tlsverify --tlscacert /etc/sdocker/tls/ca.pem --tlscert /etc/sdocker/tls/cert.pem --tlskey /etc/sdocker/tls/key.pem)
[[ ! -e /etc/sdocker/identity ]] || . /etc/sdocker/identity
folder=${shared_home:+${instance:+$shared_home/hosts/$instance}}
at() { TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T' "$1"; }
now() { at -1; }
daemon() { timeout -s KILL "${patience:-60}" docker -H "unix://$socket" "$@"; }
# The shared folder may hang when its server does: nothing waits for it for long.
shared() { [[ -n $folder && -e /run/sdocker/mounted ]] && timeout -s KILL 10 "$@" 2>/dev/null; }
# A line of the status file, which `publish` copies to the shared folder.
say() { TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T %s\n' -1 "${*//[$'\n\r']/ }" >>/var/lib/sdocker/status; }
publish() {
    local sent=0 all
    [[ ! -e /var/lib/sdocker/status.sent ]] || read -r sent </var/lib/sdocker/status.sent
    mapfile -t all </var/lib/sdocker/status
    ((${#all[@]} > sent)) || return 0
    shared flock /var/lib/sdocker/publishing bash -c '
        read -r sent 2>/dev/null <"$1.sent" || sent=0
        mapfile -t -s "$sent" new <"$1"
        ((${#new[@]} == 0)) || { printf "%s\n" "${new[@]}" >>"$2/status" && echo "$((sent + ${#new[@]}))" >"$1.sent"; }' - /var/lib/sdocker/status "$folder"
}
