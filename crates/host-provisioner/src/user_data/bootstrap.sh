#!/bin/bash
# Makes this machine a Docker host, at each boot: mounts, image and identity at the same time, then the daemon.
. /usr/local/lib/sdocker/host.sh
exec >>/var/lib/sdocker/bootstrap.log 2>&1
rm -f /run/sdocker/{mounted,ready}
why=/run/sdocker/why
metadata() { curl -sfm 5 --retry 10 --retry-connrefused --retry-delay 1 "$@"; }

# A stage writes a line when it begins and one when it ends; what it echoes last says why it failed.
stage() {
    local name=$1 began=$SECONDS
    shift
    say "$name" started
    if "$@" >"$why.$name" 2>&1; then
        cat "$why.$name"
        say "$name" "done" "$((SECONDS - began)) s"
    else
        cat "$why.$name"
        say "$name" failed "$(tail -n 1 "$why.$name")"
        shared cp /var/lib/sdocker/bootstrap.log "$folder/logs/bootstrap.log"
        return 1
    fi
}
give_up() {
    wait
    shared cp /var/lib/sdocker/bootstrap.log "$folder/logs/bootstrap.log"
    exit 1
}

identify() {
    local token base=http://169.254.169.254/latest
    [[ ! -e /etc/sdocker/identity ]] || return 0
    token=$(metadata -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$base"/api/token) || { echo "no instance metadata"; return 1; }
    id=$(metadata -H "X-aws-ec2-metadata-token: $token" "$base"/meta-data/instance-id) || { echo "no instance id"; return 1; }
    type=$(metadata -H "X-aws-ec2-metadata-token: $token" "$base"/meta-data/instance-type) || { echo "no instance type"; return 1; }
    printf 'instance=%q\n' "${type}_$id" >/etc/sdocker/identity
}

# efs FILE_SYSTEM ACCESS_POINT ADDRESS REMOTE_PATH PATH...
efs() {
    local system=$1 access=$2 address=$3 remote=$4 first=$5 error=
    shift 5
    mountpoint -q "$first" && return 0
    mkdir -p "$first"
    for _ in 1 2 3 4 5 6; do
        if [[ -n $access ]]; then
            [[ -x /sbin/mount.efs ]] || dnf -qy install amazon-efs-utils || { echo "amazon-efs-utils can not be installed"; return 1; }
            error=$(timeout -s KILL 60 mount -t efs -o "tls,accesspoint=$access,mounttargetip=$address" "$system:$remote" "$first" 2>&1) && break
        else
            error=$(timeout -s KILL 60 mount -t nfs4 -o nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport "$address:$remote" "$first" 2>&1) && break
        fi
        sleep 5
    done
    mountpoint -q "$first" || { echo "$system ($address:$remote) does not mount at $first: $error"; return 1; }
    for path in "$@"; do
        mkdir -p "$path"
        mountpoint -q "$path" || mount --bind "$first" "$path" || { echo "$first does not mount at $path"; return 1; }
    done
}

identity() {
    local from=$folder/certs/server to=/etc/sdocker/tls
    [[ ! -e $to/key.pem ]] || return 0
    for ((tries = 0; ; tries++)); do
        # Looking the folder up again makes NFS forget what it knew.
        if timeout -s KILL 10 ls "$from" 2>/dev/null | grep -qx key.pem; then break; fi
        ((tries < 600)) || { echo "no certificate appeared in $from"; return 1; }
        sleep 0.5
    done
    install -d -m 700 "$to.new"
    install -m 600 "$from"/{ca,cert,key}.pem "$to.new/" && rm -f "$from/key.pem" && mv "$to.new" "$to"
}

image() {
    docker info >/dev/null || systemctl start docker || { echo "Docker does not start"; return 1; }
    docker image inspect "$dind_image" >/dev/null 2>&1 && return 0
    for _ in 1 2 3; do
        docker pull -q "$dind_image" && return 0
        sleep 5
    done
    echo "$dind_image can not be pulled: $(docker pull -q "$dind_image" 2>&1 | tail -n 1)"
    return 1
}

tls=(--tlsverify --tlscacert /etc/sdocker/tls/ca.pem --tlscert /etc/sdocker/tls/cert.pem --tlskey /etc/sdocker/tls/key.pem)

dind() {
    if docker inspect sdocker >/dev/null 2>&1; then
        # After a reboot: the mounts are new, so it starts anew; its data is in a volume of its own.
        docker rm -f sdocker >/dev/null
    fi
    local run=(-d --name sdocker --privileged --restart always --log-opt max-size=10m --log-opt max-file=3
        -v /run/sdocker:/run/sdocker -v /etc/sdocker/tls:/etc/sdocker/tls:ro -v sdocker-data:/var/lib/docker
        -p "$daemon_port:2376" -p "$endpoint_port:$endpoint_port")
    for port in "${additional_ports[@]}"; do run+=(-p "$port:$port"); done
    for path in "${paths[@]}"; do run+=(-v "$path:$path:rslave"); done
    for setting in "${proxies[@]}"; do run+=(-e "$setting"); done
    docker run "${run[@]}" "$dind_image" dockerd --host "unix://$socket" --host tcp://0.0.0.0:2376 "${tls[@]}" \
        --log-opt max-size=10m --log-opt max-file=3
}

native() {
    local command flags=(--host "unix://$socket" --host "tcp://0.0.0.0:$daemon_port" "${tls[@]}")
    grep -qs '"log-' /etc/docker/daemon.json || flags+=(--log-opt max-size=10m --log-opt max-file=3)
    grep -qs '"live-restore"' /etc/docker/daemon.json || flags+=(--live-restore)
    install -d /etc/systemd/system/docker.service.d
    rm -f /etc/systemd/system/docker.service.d/sdocker.conf
    # The image's own command line, with ours behind it.
    command=$(systemctl cat docker.service | sed -n 's/^ExecStart=\(.\)/\1/p' | tail -n 1)
    {
        echo "[Service]"
        for setting in "${proxies[@]}"; do echo "Environment=\"$setting\""; done
        echo "ExecStart="
        echo "ExecStart=${command:-/usr/bin/dockerd} ${flags[*]}"
    } >/etc/systemd/system/docker.service.d/sdocker.conf
    systemctl daemon-reload
    systemctl restart docker || { echo "Docker does not start: $(journalctl -u docker -n 20 --no-pager -o cat | grep -v '^$' | tail -n 1)"; return 1; }
}

answers() {
    for ((tries = 0; ; tries++)); do
        daemon version >/dev/null 2>&1 && break
        ((tries < 600)) || { echo "the daemon does not answer"; return 1; }
        if [[ $engine == dind && $(docker inspect -f '{{.State.Restarting}}' sdocker) == true ]]; then
            echo "the daemon ends again and again: $(docker logs --tail 1 sdocker 2>&1)"
            return 1
        fi
        sleep 0.2
    done
    daemon network inspect sagemaker >/dev/null 2>&1 || daemon network create sagemaker >/dev/null
}

hook() {
    bash "$shared_home/$1" || { echo "$1 ended with exit code $?"; return 1; }
}

started=$SECONDS
systemctl disable --now --no-block ecs >/dev/null 2>&1
stage metadata identify || give_up
. /usr/local/lib/sdocker/host.sh
if [[ $engine == dind ]]; then
    stage image image &
    pulling=$!
fi
if declare -F mounts >/dev/null; then stage mounts mounts || give_up; fi
if [[ -n $folder ]]; then
    mkdir -p "$folder/logs"
    touch /run/sdocker/mounted
    if [[ -e $shared_home/pre-bootstrap.sh ]]; then stage pre-bootstrap hook pre-bootstrap.sh || give_up; fi
    stage identity identity || give_up
fi
if [[ $engine == dind ]]; then wait "$pulling" || give_up; fi
stage daemon "$engine" || give_up
stage answers answers || give_up
touch /run/sdocker/ready
systemctl start --no-block sdocker-endpoint
if ((nvidia)); then
    if daemon info -f '{{json .Runtimes}}' | grep -q nvidia && gpus=$(nvidia-smi -L); then
        say gpu "done" "$(wc -l <<<"$gpus") GPU, NVIDIA runtime"
    else
        say gpu warning "the NVIDIA runtime is not there: containers can not use the GPU"
    fi
fi
if [[ -n $folder && -e $shared_home/post-bootstrap.sh ]]; then
    hook post-bootstrap.sh || say post-bootstrap warning "post-bootstrap.sh failed"
fi
say ready "done" "$((SECONDS - started)) s"
shared cp /var/lib/sdocker/bootstrap.log "$folder/logs/bootstrap.log"
exit 0
