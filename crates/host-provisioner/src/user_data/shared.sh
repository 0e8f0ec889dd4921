# What bootstrap.sh takes from the folder that the host shares with the user: the host's identity, and the user's own scripts.
identity() {
    local from=$folder/certs/server to=/etc/sdocker/tls
    [[ ! -e $to/key.pem ]] || return 0
    install -d -m 700 "$to.new"
    for ((tries = 0; ; tries++)); do
        # Reading the folders anew makes NFS forget what it knew.
        [[ $(timeout -s KILL 10 ls "${folder%/*}" "$folder" "$folder/certs" "$from" 2>/dev/null) == *key.pem* ]] && certificates && break
        ((tries < 600)) || { echo "no certificate appeared in $from, for the user $(timeout -s KILL 10 stat -c %u "$folder") to read"; return 1; }
        sleep 0.5
    done
    mv "$to.new" "$to" && shared drop "$from" key.pem
}
certificates() {
    local name
    for name in ca cert key; do
        shared get "$from" "$name.pem" 65536 >"$to.new/$name.pem" && chmod 600 "$to.new/$name.pem" && [[ -s $to.new/$name.pem ]] || return
    done
}

# hook NAME SHA256: the user's own script, as it was when the host was created: `create-host` said that it will run. The host keeps it. A
# registry that it logs in to is logged in to for the host.
hook() {
    local own=/var/lib/sdocker/$1
    if ! sha256sum -c --status <<<"$2  $own" 2>/dev/null; then
        if ! shared get "$shared_home" "$1" 131073 >"$own" || (($(stat -c %s "$own") > 131072)); then
            echo "$1 is no file of at most 128 KiB that its owner may read"
            return 1
        fi
        sha256sum -c --status <<<"$2  $own" || { echo "$1 is not what it was when the host was created, and does not run"; return 1; }
    fi
    HOME=/root bash "$own" || { echo "$1 ended with exit code $?"; return 1; }
}
