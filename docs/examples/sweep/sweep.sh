#!/bin/bash
# A parameter sweep on all nodes of a Swarm, whose results are on files that they share:
#
#   sdocker create-host c5.xlarge --count 3 --swarm
#   ./sweep.sh
#
# The image is built on the current host, a manager, and given to all nodes; each run writes its result into ~/sweep, from which the table and the plot are
# made. Further arguments are those of `sdocker swarm push`.
set -euo pipefail
cd "$(dirname "$0")"
results=$HOME/sweep
mkdir -p "$results"
docker build --quiet --tag sweep . >/dev/null
sdocker swarm push sweep "$@"
runs=$(python3 -c 'import sweep; print(len(sweep.COMBINATIONS))')
docker service rm sweep >/dev/null 2>&1 || true
docker service create --quiet --detach --name sweep --mode replicated-job --replicas "$runs" --max-concurrent "${AT_A_TIME:-6}" --endpoint-mode dnsrr \
    --restart-condition on-failure --mount "type=bind,src=$results,dst=/results" --env 'NODE={{.Node.Hostname}}' --env 'RUN={{.Task.Slot}}' \
    localhost:5000/sweep sh -c 'python3 /sweep.py run "$RUN" /results' >/dev/null
until [[ $(sdocker swarm status --output json | python3 -c 'import json, sys; print(*(job["completed"] for job in json.load(sys.stdin)["jobs"] if job["name"] == "sweep"))') == "$runs" ]]; do
    sleep 1
done
sdocker swarm status
python3 sweep.py report "$results"
