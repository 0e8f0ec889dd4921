#!/bin/bash
# A host of the sandbox: a real dockerd in a network namespace of its own, behind mutual TLS on an address of its own.
#
#   host.sh run FOLDER      starts it, and minds it until it ends
#   host.sh stop FOLDER     ends it, however it was left, and removes everything it had
#
# FOLDER/settings holds, as shell assignments: link, namespace, outer, inner, lease, port, endpoint_port, shared, max_lifetime,
# idle_timeout (seconds; empty: never), gpu_node (not empty: GPUs are resources of a Swarm's node), stops (not empty: where the host ends itself,
# its folder stays, with what its daemon has, as the disk of an instance that is stopped).
set -uo pipefail

command=$1 folder=$2
link='' namespace='' outer='' inner='' lease='' port='' endpoint_port='' shared='' max_lifetime='' idle_timeout='' gpu_node='' stops=''
# shellcheck source=/dev/null
. "$folder/settings"
# Not in the folder: the path of a socket has at most 107 bytes.
state=/run/sdocker/$link
socket=$state/docker.sock
# The CLI that came with the daemon, where there is one beside it: the client's may be one that the daemon refuses.
if dockerd=$(command -v dockerd); then PATH=$(dirname "$dockerd"):$PATH; fi

now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
at() { date -u -d "@$1" +%Y-%m-%dT%H:%M:%SZ; }
# Where what the host says is: in the shared folder, else where its daemon has it, as on a real host.
told=${shared:-$folder/account}
say() { [[ ! -d $told ]] || echo "$(now) $*" >>"$told/status"; }
daemon() { timeout -s KILL "${patience:-60}" docker -H "unix://$socket" "$@"; }
dockerds() { cat "$folder/docker.pid"; }
# shellcheck source=/dev/null
[[ ! -e $folder/uses.sh ]] || . "$folder/uses.sh"

fail() {
    say "$1 failed $2"
    echo "$1: $2" >&2
    [[ -z $again ]] || keeps_disk=1
    exit 1
}

again='' keeps_disk=''
stop() {
    local pid left
    if [[ -e $folder/docker.pid ]]; then
        pid=$(<"$folder/docker.pid")
        # An instance that ends takes its containers with it, without asking them. One that is stopped stops its daemon, which stops them.
        [[ -n $keeps_disk ]] || daemon ps -q 2>/dev/null | xargs -r docker -H "unix://$socket" kill >/dev/null 2>&1
        # A manager would be long about it, and an instance that ends asks no daemon either.
        if [[ -e $folder/data/swarm/docker-state.json ]]; then kill -9 "$pid"; else kill "$pid"; fi 2>/dev/null
        for _ in $(seq 200); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
    fi
    # What a dockerd that was killed left: containers, their shims, containerd.
    for file in "$state"/containerd/daemon/io.containerd.runtime.v2.task/*/*/init.pid; do
        [[ -e $file ]] && kill -9 "$(<"$file")" 2>/dev/null
    done
    # Until there is none: one may have started another meanwhile.
    for _ in $(seq 100); do
        left=
        for pid in $(ip netns pids "$namespace" 2>/dev/null) $(grep -lF -e "$folder/" -e "$state/" /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3); do
            [[ $pid == "$$" || $pid == "$BASHPID" || $pid == "$PPID" ]] || { kill -9 "$pid" 2>/dev/null && left=1; }
        done
        [[ -n $left ]] || break
        sleep 0.02
    done
    ip link del "$link" 2>/dev/null
    ip netns del "$namespace" 2>/dev/null
    grep -F -e " $folder/" -e " $state/" /proc/self/mounts | cut -d' ' -f2 | tac | while read -r mount; do
        umount -l "$(printf '%b' "$mount")" 2>/dev/null
    done
    # It keeps its address.
    if [[ -n $keeps_disk ]]; then
        rm -rf --one-file-system "$state" "$folder/docker.pid" 2>/dev/null
        touch "$folder/stopped"
        return
    fi
    [[ ! -e $lease || $(<"$lease") != "$folder" ]] || rm -f "$lease"
    # Directories of images may hold files that nobody may write.
    rm -rf --one-file-system "$state" "$folder" 2>/dev/null
}

if [[ $command == stop ]]; then
    if [[ -e $folder/supervisor.pid ]]; then
        supervisor=$(<"$folder/supervisor.pid")
        # A number that another process has by now is not ours to end.
        if grep -qF "$folder" "/proc/$supervisor/cmdline" 2>/dev/null; then
            kill -9 "$supervisor" 2>/dev/null
        fi
    fi
    stop
    exit 0
fi

[[ ! -e $folder/born ]] || again=1
install -d -m 700 "$state"
[[ -n $shared ]] || install -d "$told/logs"
echo $$ >"$folder/supervisor.pid"
[[ -n $again ]] || date +%s >"$folder/born"
born=$(<"$folder/born")
# The lifetime comes first: it holds whatever else fails.
expires=$((born + max_lifetime))
# No `keep` goes beyond this.
latest=$((born + 7 * max_lifetime))
# Started again, it has half an hour at least, as user_data/life.sh gives it.
spare=$(($(date +%s) + 1800))
[[ -z $again ]] || ((expires >= spare)) || expires=$spare
goes="ends itself"
[[ -z $stops ]] || goes="stops itself, and keeps its disk"
trap stop EXIT
trap 'exit 0' TERM INT

say boot "done"
say network started
ip netns add "$namespace" || fail network "cannot make a network namespace"
ip link add "$link" type veth peer name eth0 netns "$namespace" || fail network "cannot make a link"
ip addr add "$outer/30" dev "$link" || fail network "cannot give the link its address"
ip link set "$link" up
ip -n "$namespace" link set lo up
ip -n "$namespace" addr add "$inner/30" dev eth0 || fail network "cannot give the host its address"
ip -n "$namespace" link set eth0 up
ip -n "$namespace" route add default via "$outer"
say network "done" "$inner"

certs=$folder/certs
if [[ -n $again ]]; then
    say identity "done"
elif [[ -n $shared ]]; then
    say identity started
    waited=0
    until [[ -e $shared/certs/server/key.pem ]]; do
        sleep 0.05
        waited=$((waited + 1))
        ((waited < 6000)) || fail identity "the client put no certificate into $shared/certs/server within 5 minutes"
    done
    install -d -m 700 "$certs"
    install -m 600 "$shared"/certs/server/{ca,cert,key}.pem "$certs/"
    rm -f "$shared/certs/server/key.pem"
    install -d "$shared/logs"
    say identity "done"
else
    bash "$folder/certify.sh" "$certs" "$inner" || say identity warning "the certificate holds no address"
fi

[[ -n $shared ]] || mkdir -p /run/sdocker/account
log=$told/logs/dockerd.log
gpus=()
[[ -z $gpu_node ]] || mapfile -t gpus < <(gpu_resources)
say daemon started
# nsenter, rather than `ip netns exec`, which would hide the control groups. A mount namespace of its own: the daemon's mounts end with it, and it does not see another daemon's containerd.
# shellcheck disable=SC2016
nsenter --net="/run/netns/$namespace" unshare -m bash -c '
    [[ ! -d /run/containerd ]] || mount -t tmpfs tmpfs /run/containerd
    [[ ! -d /run/docker ]] || mount -t tmpfs tmpfs /run/docker
    [[ -z $0 ]] || mount --bind "$0" /run/sdocker/account
    exec dockerd "$@"' "$([[ -n $shared ]] || echo "$told")" \
    --data-root "$folder/data" --exec-root "$state" --pidfile "$folder/docker.pid" \
    --host "unix://$socket" --host "tcp://$inner:$port" \
    --tlsverify --tlscacert "$certs/ca.pem" --tlscert "$certs/cert.pem" --tlskey "$certs/key.pem" \
    --log-opt max-size=10m --log-opt max-file=3 "${gpus[@]}" >"$log" 2>&1 &
dockerd=$!
waited=0
until daemon version >/dev/null 2>&1; do
    kill -0 "$dockerd" 2>/dev/null || fail daemon "dockerd ended: $(tail -n 1 "$log")"
    sleep 0.1
    waited=$((waited + 1))
    ((waited < 600)) || fail daemon "dockerd does not answer"
done
daemon network inspect sagemaker >/dev/null 2>&1 || daemon network create sagemaker >/dev/null || say daemon warning "no network sagemaker"
say daemon "done" "$(daemon version -f '{{.Server.Version}}' 2>/dev/null)"
bash "$folder/endpoint-forward.sh" "$socket" "$endpoint_port" nsenter --net="/run/netns/$namespace" 2>/dev/null &
say ready "done"

# Until the end: alive while dockerd is, not too old, not idle for too long.
idle_since=$(date +%s)
warned=
while kill -0 "$dockerd" 2>/dev/null; do
    time=$(date +%s)
    keep=0
    # Neither a pipe nor a device: whoever is root in a container can put one there.
    [[ -f $told/keep-until ]] && keep=$(head -c 12 "$told/keep-until" | tr -dc 0-9)
    keep=$((10#${keep:-0}))
    ((keep <= latest)) || keep=$latest
    if look "$folder/moved"; then looked "$folder/moved"; else uses=(); fi
    ((${#uses[@]} == 0 && keep <= time)) || idle_since=$time
    end=$((expires > keep ? expires : keep))
    deadline=null
    if [[ -n $idle_timeout ]]; then
        idle_end=$((idle_since + idle_timeout))
        deadline="\"$(at "$idle_end")\""
        ((idle_end >= end)) || end=$idle_end
    fi
    if ((end - time < 600)) && [[ $warned != "$end" ]]; then
        lost=
        [[ -n $stops ]] || lost=$(losses)
        say life warning "the host $goes at $(at "$end")$lost"
        warned=$end
    fi
    if [[ -d $told ]]; then
        used=$(df --output=pcent "$folder" | tr -dc 0-9)
        idle=null
        ((${#uses[@]} > 0)) || idle="\"$(at "$idle_since")\""
        list=$(printf ',"%s"' "${uses[@]}")
        list=${list#,}
        ((${#uses[@]} > 0)) || list=
        printf '{"checked_at":"%s","expires_at":"%s","keepable_until":"%s","idle_since":%s,"idle_deadline":%s,"idle_timeout_seconds":%s,"uses":[%s],"disk_used_percent":%s,"notices":[]}\n' \
            "$(now)" "$(at $((expires > keep ? expires : keep)))" "$(at "$latest")" "$idle" "$deadline" "${idle_timeout:-null}" "$list" "${used:-null}" \
            >"$told/.life.json.new" && mv "$told/.life.json.new" "$told/life.json"
    fi
    # EC2's notice that it takes a Spot instance back.
    if [[ -e $folder/spot-notice && ! -e $folder/spot-noticed ]]; then
        touch "$folder/spot-noticed"
        say spot warning "EC2 takes this Spot instance back"
        depart
    fi
    # Whoever removed its folder wanted it gone.
    [[ -e $folder/settings ]] || exit 0
    if ((time >= end)); then
        say life info "the host $goes"
        depart
        keeps_disk=$stops
        exit 0
    fi
    pause=$((end - time))
    sleep $((pause < 15 ? (pause > 1 ? pause : 1) : 15)) &
    wait -n $! "$dockerd" 2>/dev/null
done
say daemon warning "dockerd ended"
keeps_disk=$stops
