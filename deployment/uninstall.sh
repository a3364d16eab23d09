#!/bin/sh
# Takes the machine's MCP server and its helper away. Configuration, data, logs and backups stay, unless --purge says otherwise.
set -eu

usage() {
  cat <<'USAGE'
Usage: uninstall.sh [--purge] [--dry-run]

  --purge    removes configuration, data, logs and the account too; backups and the evidence of incidents stay in any case
  --dry-run  says what would be done, and does nothing
USAGE
}
fail() {
  printf 'uninstall: error: %s\nuninstall: hint: %s\n' "$1" "$2" >&2
  exit 1
}
purge= dry_run=
for word in "$@"; do
  case $word in
    --purge) purge=yes ;;
    --dry-run) dry_run=yes ;;
    --help | -h) usage && exit 0 ;;
    *) fail "nobody knows what $word means" 'uninstall.sh --help' ;;
  esac
done
[ "$(id -u)" = 0 ] || [ -n "$dry_run" ] || fail 'only root may do this' 'run it with sudo or doas, or see what it would do with --dry-run'
run() {
  printf '%s\n' "$*"
  [ -n "$dry_run" ] || "$@"
}
units=/etc/systemd/system
run systemctl stop 'mcp-raspi-*.service' # jobs too
for unit in mcp-raspi-server.service raspi-ops-agent.service mcp-raspi-update-resume.service mcp-raspi-restore-resume.service mcp-raspi-backup.timer mcp-raspi-health.timer; do
  [ ! -e "$units/$unit" ] || run systemctl disable --quiet --now "$unit"
done
for path in "$units"/mcp-raspi-*.service "$units"/mcp-raspi-*.timer "$units/raspi-ops-agent.service" /etc/logrotate.d/mcp-raspi /etc/tmpfiles.d/mcp-raspi.conf \
  /usr/local/bin/mcp-raspi-server /usr/local/bin/raspi-ops-agent /usr/local/bin/mcp-backup.sh /usr/local/bin/mcp-health.sh /usr/local/sbin/mcp-safe-mode.sh \
  /opt/mcp-raspi /run/mcp-raspi /var/cache/mcp-raspi /var/cache/mcp-raspi-agent; do
  [ ! -e "$path" ] || run rm -rf "$path"
done
if [ "$(readlink /usr/local/bin/fairlead || true)" = /opt/mcp-raspi/current/bin/fairlead ]; then run rm -f /usr/local/bin/fairlead; fi
run systemctl daemon-reload
if [ -z "$purge" ]; then
  echo 'what stays: /etc/mcp-raspi, /var/lib/mcp-raspi, /var/lib/mcp-raspi-agent, /var/log/mcp-raspi, /var/log/mcp-raspi-agent, /var/lib/mcp-raspi-incidents, /backup, the account mcp-raspi'
  exit 0
fi
for path in /etc/mcp-raspi /var/lib/mcp-raspi /var/lib/mcp-raspi-agent /var/log/mcp-raspi /var/log/mcp-raspi-agent; do
  [ ! -e "$path" ] || run rm -rf "$path"
done
! id -u mcp-raspi >/dev/null 2>&1 || run userdel mcp-raspi
! getent group mcp-raspi >/dev/null || run groupdel mcp-raspi # where it has more members userdel leaves it
echo 'what stays: /backup, /var/lib/mcp-raspi-incidents'
