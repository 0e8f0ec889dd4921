# What every script of the host knows.
set -uo pipefail
. /etc/sdocker/settings
socket=/run/sdocker/docker.sock
tls=(--tlsverify --tlscacert /etc/sdocker/tls/ca.pem --tlscert /etc/sdocker/tls/cert.pem --tlskey /etc/sdocker/tls/key.pem)
[[ ! -e /etc/sdocker/identity ]] || . /etc/sdocker/identity
folder=${shared_home:+${instance:+$shared_home/hosts/$instance}}
now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
at() { date -u -d "@$1" +%Y-%m-%dT%H:%M:%SZ; }
daemon() { timeout -s KILL "${patience:-60}" docker -H "unix://$socket" "$@"; }
# The shared folder may hang when its server does: nothing waits for it for long.
shared() { [[ -n $folder && -e /run/sdocker/mounted ]] && timeout -s KILL 10 "$@" 2>/dev/null; }
# A line of the status file; kept here until there is shared storage to write it to. Whoever ends waits for the copy, nobody else does.
say() {
    echo "$(now) ${*//[$'\n\r']/ }" >>/var/lib/sdocker/status
    publish &
}
publish() {
    exec 9>/var/lib/sdocker/publishing
    flock 9
    shared bash -c '
        read -r sent 2>/dev/null <"$1.sent" || sent=0
        mapfile -t -s "$sent" new <"$1"
        ((${#new[@]} == 0)) || { printf "%s\n" "${new[@]}" >>"$2/status" && echo "$((sent + ${#new[@]}))" >"$1.sent"; }' - /var/lib/sdocker/status "$folder"
}
