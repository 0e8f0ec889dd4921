#!/bin/bash
# Brings port 8080 of the host to the container that serves on the network `sagemaker`, while one runs: SDKs from 2.203 publish no
# port in Studio, and look for the endpoint at port 8080 of the Docker host.
#
#   endpoint-forward.sh DOCKER_SOCKET PORT [COMMAND...]
#
# COMMAND, such as `nsenter -t PID -n`, leads into the network namespace of the daemon. The rules come after Docker's own, so that a
# container that publishes the port itself has it; nothing listens on the port, so that nothing stands in its way.
set -uo pipefail

socket=$1 port=$2
shift 2
into=("$@")
chain=SDOCKER-ENDPOINT
current=

inside() { if ((${#into[@]})); then "${into[@]}" "$@"; else "$@"; fi; }
daemon() { docker -H "unix://$socket" "$@"; }

serves() { inside timeout 1 bash -c "exec 3<>/dev/tcp/$1/$port" 2>/dev/null; }

# The address of the first of these containers that takes connections at the port.
serving() {
    local id address
    for id in "$@"; do
        address=$(daemon inspect -f '{{with index .NetworkSettings.Networks "sagemaker"}}{{.IPAddress}}{{end}}' "$id" 2>/dev/null) || continue
        if [[ $address =~ ^[0-9.]+$ ]] && serves "$address"; then
            echo "$address"
            return 0
        fi
    done
}

point_to() {
    inside iptables -w -t nat -N "$chain" 2>/dev/null
    inside iptables -w -t nat -F "$chain"
    inside iptables -w -t nat -C PREROUTING -p tcp --dport "$port" -m addrtype --dst-type LOCAL -j "$chain" 2>/dev/null ||
        inside iptables -w -t nat -A PREROUTING -p tcp --dport "$port" -m addrtype --dst-type LOCAL -j "$chain"
    inside iptables -w -N "$chain" 2>/dev/null
    inside iptables -w -F "$chain"
    inside iptables -w -C DOCKER-USER -j "$chain" 2>/dev/null || inside iptables -w -I DOCKER-USER -j "$chain"
    if [[ -n $1 ]]; then
        inside iptables -w -A "$chain" -p tcp -d "$1" --dport "$port" -m conntrack --ctstate DNAT -j ACCEPT
        inside iptables -w -t nat -A "$chain" -p tcp -j DNAT --to-destination "$1:$port"
    fi
    current=$1
}

# Listens to containers that start, or come to a network. The daemon may be heard later than this; it tells what happened since.
listen() {
    exec {changes}< <(exec docker -H "unix://$socket" events --since "$(date +%s)" --format '{{.Action}}' \
        --filter event=start --filter event=connect 2>/dev/null)
}

listen
while :; do
    ids=$(daemon ps -q --filter network=sagemaker) || { sleep 1 && continue; }
    # shellcheck disable=SC2086 # a list
    address=$(serving $ids)
    [[ $address == "$current" ]] || point_to "$address"
    if [[ -n $ids ]]; then
        # Nothing tells when a container begins to serve.
        sleep 1
    else
        read -r -t 60 -u "$changes"
        # Above 128 nothing was told in that time.
        told=$?
        ((told == 0 || told > 128)) || { exec {changes}<&- && sleep 1 && listen; }
    fi
done
