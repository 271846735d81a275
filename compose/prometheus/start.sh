# Starts Prometheus, and has it load the alert rules within seconds when they change.
#
#   start.sh <folder of the rules> <file for the token> <Prometheus> <its arguments>
#
# It does so by SIGHUP, which only a process in this container can send. Prometheus' own route for that
# (--web.enable-lifecycle) is off: everyone who reaches the port could use it, also to end Prometheus.
set -eu
folder=$1 token=$2
shift 2

umask 077
printf %s "$BELLWETHER_METRICS_TOKEN" > "$token"
unset BELLWETHER_METRICS_TOKEN

rules() { cat "$folder"/*.yaml 2>/dev/null | cksum; }

loaded=$(rules)
"$@" &
prometheus=$!
while sleep 5; do
    now=$(rules)
    if [ "$now" != "$loaded" ]; then
        kill -HUP "$prometheus"
        loaded=$now
    fi
done &
watch=$!
trap 'kill -TERM "$prometheus"' TERM INT
code=0
wait "$prometheus" || code=$?
if [ "$code" -gt 128 ]; then # a signal interrupted the wait, and Prometheus is ending
    code=0
    wait "$prometheus" || code=$?
fi
kill "$watch"
exit "$code"
