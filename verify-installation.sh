#!/bin/sh
# Looks the installation of the machine's MCP server over, and changes nothing. Exit code 0: all is well; 3: something is not, and each thing is named.
set -u
bad=0
ok() { printf 'ok    %s\n' "$1"; }
not_ok() {
  printf 'FAIL  %s: %s\n' "$1" "$2"
  bad=1
}
# what, then a command that succeeds when it is so, and says why not
check() {
  what=$1
  shift
  if why=$("$@" 2>&1); then ok "$what"; else not_ok "$what" "${why:-no}"; fi
}
[ "$(id -u)" = 0 ] || {
  printf 'verify-installation: error: only root can look at all of it\nverify-installation: hint: run it with sudo or doas\n' >&2
  exit 2
}
root=/opt/mcp-raspi

owned() {
  found=$(stat -c '%U:%G %a' "$1" 2>&1) || { echo "$found" && return 1; }
  [ "$found" = "$2 $3" ] || { echo "it is $found, not $2 $3" && return 1; }
}
roots_own() {
  found=$(find "$root/releases/" ! -user root -o ! -type l -perm /022 2>&1 | head -n 1)
  [ -z "$found" ] || { echo "$found" && return 1; }
}
told_version() {
  link=$(readlink "$root/current") || { echo "$root/current is no link" && return 1; }
  told=$(sed -n 's/^ *"current_version": *"\([^"]*\)".*/\1/p' "$root/version.json")
  [ "$link" = "releases/$told" ] || { echo "current leads to $link, and version.json says $told" && return 1; }
  [ -x "$root/current/bin/fairlead" ] || { echo 'no program is there' && return 1; }
}
runs() {
  state=$(systemctl show --property=ActiveState --value "$1")
  [ "$state" = active ] || { echo "it is $state: journalctl -u $1 -n 50" && return 1; }
  pid=$(systemctl show --property=MainPID --value "$1")
  tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q "$(readlink -f "$root/current")/" || { echo "process $pid is of another release" && return 1; }
}
enabled() { systemctl is-enabled "$1" >/dev/null || { echo "systemctl enable $1" && return 1; }; }
one_sandbox_line() {
  count=$(grep -c 'sandbox_mode:' /etc/mcp-raspi/config.yml)
  [ "$count" = 1 ] || { echo "$count lines name sandbox_mode" && return 1; }
}
answers() {
  port=$(sed -n 's/^ *port: *\([0-9]*\).*/\1/p' /etc/mcp-raspi/config.yml | head -n 1)
  status=$(curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}' "http://localhost:${port:-8000}/health")
  [ "$status" = 200 ] || { echo "HTTP status $status" && return 1; }
}
socket() { [ -S /run/mcp-raspi/ops-agent.sock ] || { echo 'there is none' && return 1; }; }

check 'account mcp-raspi' id -u mcp-raspi
check 'configuration' owned /etc/mcp-raspi/config.yml root:mcp-raspi 640
check 'credentials' owned /etc/mcp-raspi/secrets.env root:root 600
check 'one sandbox_mode' one_sandbox_line
check 'data folder' owned /var/lib/mcp-raspi mcp-raspi:mcp-raspi 750
check 'log folder' owned /var/log/mcp-raspi mcp-raspi:mcp-raspi 750
check "code is root's alone" roots_own
check 'version' told_version
for unit in raspi-ops-agent.service mcp-raspi-server.service; do
  check "$unit runs" runs "$unit"
  check "$unit is enabled" enabled "$unit"
done
for unit in mcp-raspi-backup.timer mcp-raspi-health.timer mcp-raspi-update-resume.service mcp-raspi-restore-resume.service; do check "$unit is enabled" enabled "$unit"; done
check "helper's socket" socket
check '/health answers' answers
check 'log rotation' logrotate --debug /etc/logrotate.d/mcp-raspi
[ "$bad" = 0 ] && echo 'all is well' && exit 0
exit 3
