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

serves() { inside timeout 1 bash -c "exec 3<>/dev/tcp/$1/$port" 2>/dev/null; }

# The addresses that containers have on the network, into `addresses`: one that is new is first. In a value each quote has a backslash before it,
# so that none is taken for an address. The Docker CLI's start alone would be more work.
list() {
    local said address known=" ${addresses[*]} " fresh=() kept=()
    said=$(curl -q -s -m 60 --noproxy '*' --unix-socket "$socket" http://docker/networks/sagemaker) || return
    # Without the network nobody serves on it.
    [[ $said == *'"Containers":'* || $said == *'not found'* ]] || return
    while [[ $said == *'"IPv4Address":"'* ]]; do
        said=${said#*'"IPv4Address":"'}
        address=${said%%[/\"]*}
        if [[ ! $address =~ ^[0-9.]+$ ]]; then
            continue
        elif [[ $known == *" $address "* ]]; then
            kept+=("$address")
        else
            fresh+=("$address")
        fi
    done
    addresses=("${fresh[@]}" "${kept[@]}")
}

# The first of them that takes connections at the port.
serving() {
    local address
    for address in "${addresses[@]}"; do
        if serves "$address"; then
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

# Listens to containers that come to the network and leave it: others start here as well, by the hundred. The daemon may be heard later than this;
# it tells what happened since.
listen() {
    exec {changes}< <(exec curl -q -sfGN --noproxy '*' --unix-socket "$socket" -d "since=$(date +%s)" \
        --data-urlencode 'filters={"type":["network"],"network":["sagemaker"],"event":["connect","disconnect"]}' http://docker/events 2>/dev/null)
}

listen
addresses=()
# How often the list is still to be asked for: a change that was told may not be in it yet.
news=1
while :; do
    if ((news > 0)); then
        list || { sleep 1 && continue; }
        ((news--))
    fi
    address=$(serving)
    if [[ $address != "$current" ]]; then
        point_to "$address"
        news=1
    fi
    # Nothing tells when a container begins to serve: one that has not for minutes may be at something else.
    if ((news > 0)) || [[ -n ${addresses[*]} && -z $current && $SECONDS -lt 300 ]]; then
        patience=1
    elif [[ -n ${addresses[*]} ]]; then
        patience=5
    else
        patience=60
    fi
    read -r -t "$patience" -u "$changes"
    # Above 128 nothing was told in that time.
    told=$?
    if ((told == 0)); then
        news=2 SECONDS=0
        # What happens together is one piece of news.
        while read -r -t 0.1 -u "$changes"; do :; done
    elif ((told > 128)); then
        ((patience < 60)) || news=1
    else
        exec {changes}<&- && sleep 1 && listen
        news=2 SECONDS=0
    fi
done
