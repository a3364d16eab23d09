#!/bin/sh
# Begins the cache of one runner for the steps that follow, from the variables that action.yml sets. What goes wrong with it is told, and does not end the job.
set -eu
home=$(cd "${0%/*}/../.." && pwd -P)

case $FAIRLEAD_SHARE_PORT in
  '' | *[!0-9]* | ??????*)
    echo '::error title=Fairlead cache::the input port has to be a number from 0 to 65535'
    exit 2
    ;;
esac

# Of this job alone: several may run on one machine for one person.
export FAIRLEAD_HOME="$RUNNER_TEMP/fairlead"
mkdir -p -m 700 "$FAIRLEAD_HOME" "$FAIRLEAD_HOME/bin"
log=$FAIRLEAD_HOME/proxy.log

server=${GITHUB_SERVER_URL:-https://github.com}
[ "$server" = https://github.com ] || export GH_HOST="${server#*://}"

if ! "$home/bin/fairlead" share gh --link "$FAIRLEAD_HOME/bin" >/dev/null; then
  echo '::warning title=Fairlead cache::it does not run here (see above): gh asks the API itself'
  exit 0
fi
ln -sf "$home/bin/fairlead" "$FAIRLEAD_HOME/bin/fairlead"
echo "$FAIRLEAD_HOME/bin" >>"$GITHUB_PATH"
echo "FAIRLEAD_HOME=$FAIRLEAD_HOME" >>"$GITHUB_ENV"

set -- --p2p-port "$FAIRLEAD_SHARE_PORT"
[ -z "$FAIRLEAD_SHARE_SCOPE" ] || set -- "$@" --shared-scope "$FAIRLEAD_SHARE_SCOPE"
FAIRLEAD_LOG=${FAIRLEAD_LOG:-warn} nohup "$home/bin/fairlead" share proxy "$@" </dev/null >"$log" 2>&1 &
proxy=$!

# It says so when it is ready, be it without the others, for whom it waits for a while.
is_ready() { grep -q '^the cache in front of ' "$log"; }
for try in $(seq 600); do
  ! is_ready || break
  kill -0 "$proxy" 2>/dev/null || break
  sleep 0.1
done
cat "$log"
if ! is_ready; then
  kill "$proxy" 2>/dev/null || true
  echo '::warning title=Fairlead cache::it did not start (see above): this runner shares with nobody'
fi
