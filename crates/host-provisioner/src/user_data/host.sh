# What every script of the host knows.
set -uo pipefail
. /etc/sdocker/settings
# The user's home may be mounted at /root. Whatever is configured there is not for the host: the Docker CLI has its context and its logins from
# here, and Python looks for its modules in another home. curl falls back on /root where that holds no .curlrc, unless it is told not to.
unset BASH_ENV CDPATH DOCKER_HOST DOCKER_TLS_VERIFY DOCKER_CERT_PATH
export HOME=/var/lib/sdocker/home DOCKER_CONFIG=/var/lib/sdocker/docker DOCKER_CONTEXT=default
curl() { command curl -q "$@"; }
socket=/run/sdocker/docker.sock
tls=(--tlsverify --tlscacert /etc/sdocker/tls/ca.pem --tlscert /etc/sdocker/tls/cert.pem --tlskey /etc/sdocker/tls/key.pem)
# The oldest API that the daemon is to speak, as low as Docker 25 to 29 take it (moby, `ValidateMinAPIVersion`): of itself 29 refuses the CLI
# 20.10. Older daemons ignore it; one that wants more has its own floor among the settings.
least_api=${least_api:-1.24}
# What networks.sh said.
outer=() inner=()
[[ ! -e /etc/sdocker/networks ]] || . /etc/sdocker/networks
[[ ! -e /etc/sdocker/identity ]] || . /etc/sdocker/identity
folder=${shared_home:+${instance:+$shared_home/hosts/$instance}}
# Where no storage is shared with the user, what is said is for whom the daemon lets in: it is at the same path for the daemon in its container.
account=/run/sdocker/account
[[ -n ${shared_home:-} ]] || folder=$account
at() { TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T' "$1"; }
now() { at -1; }
daemon() { timeout -s KILL "${patience:-60}" docker -H "unix://$socket" "$@"; }

# What happens in the shared folder is done by the one whom it belongs to: the app is not root on the file system, and could not remove what
# root made there. It is never done by root, whom a link that a container put there would lead anywhere. The file server may hang: nothing
# waits for it for long.
uid=0
# What it finds stays, unless it is found in a subshell.
owner() {
    [[ -n $folder && -e /run/sdocker/mounted ]] || return
    ((uid)) || read -r uid gid < <(timeout -s KILL 10 stat -Lc '%u %g' "$folder" 2>/dev/null)
    ((uid))
}
shared() {
    local script
    owner || return
    script=$(declare -p paths account && declare -f enter get put drop)
    timeout -s KILL 10 setpriv --reuid "$uid" --regid "$((gid ? gid : uid))" --clear-groups --no-new-privs \
        bash -c "$script"$'\n"$@"' - "$@" 2>/dev/null
}
# Only what is mounted for the user, wherever links lead. Where it is says the kernel: `cd -P` looks at each part of a path before it enters it,
# and a link may have come in between.
enter() {
    cd -P -- "$1" || return
    local path here
    here=$(readlink -f .) || return
    for path in "$account" "${paths[@]}"; do [[ $here/ != "$path"/* && $here/ != "$(readlink -f "$path")"/* ]] || return 0; done
    return 1
}
# get FOLDER FILE BYTES: no more of a regular file than so much.
get() {
    local file=$1/$2
    [[ ! -L $file ]] || file=$(readlink -f "$file")
    enter "${file%/*}" && [[ -f ${file##*/} ]] &&
        dd status=none iflag=nofollow,nonblock,fullblock,count_bytes count="$3" if="${file##*/}"
}
# put FOLDER FILE: a file with what is read takes its place whole. Nothing that is there is opened: no link, pipe or device.
put() {
    local name=${2##*/}
    enter "$1" && { [[ $2 == "$name" ]] || { mkdir -p "${2%/*}" && enter "${2%/*}"; }; } &&
        { [[ ! -e .$name && ! -L .$name ]] || rm -f ".$name"; } && dd status=none conv=excl of=".$name" && mv -fT ".$name" "$name"
}
drop() { enter "$1" && rm -f "$2"; }
# The end of a file of ours, for the user to read.
show() { tail -c 262144 "$1" | shared put "$folder" "$2"; }

# A line of the status file, which `publish` copies to the shared folder.
say() { TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T %s\n' -1 "${*//[$'\n\r']/ }" >>/var/lib/sdocker/status; }
publish() {
    local sent=0 all
    [[ -e /var/lib/sdocker/status ]] || return 0
    [[ ! -e /var/lib/sdocker/status.sent ]] || read -r sent </var/lib/sdocker/status.sent
    mapfile -t all </var/lib/sdocker/status
    ((${#all[@]} > sent)) || return 0
    {
        flock 9
        mapfile -t all </var/lib/sdocker/status
        show /var/lib/sdocker/status status && echo "${#all[@]}" >/var/lib/sdocker/status.sent
    } 9>/var/lib/sdocker/publishing
}
