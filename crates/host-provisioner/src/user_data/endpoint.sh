#!/bin/bash
# Brings the endpoint port to the container that serves; see endpoint-forward.sh.
. /usr/local/lib/sdocker/host.sh
into=()
[[ $engine == native ]] || into=(nsenter -t "$(docker inspect -f '{{.State.Pid}}' sdocker)" -n)
exec bash /usr/local/lib/sdocker/endpoint-forward.sh "$socket" "$endpoint_port" "${into[@]}"
