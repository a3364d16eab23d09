#!/bin/sh
# A service that dies again and again is started once more in the sandbox: nothing that it does is real, and everybody is told. Called by systemd with the unit that gave up.
# The way out is the runbook's: sandbox_mode back to "disabled" in the configuration, and a restart.
set -eu
unit=$1
config=/etc/mcp-raspi/config.yml
loud() {
  logger --priority daemon.crit --tag mcp-raspi-safe-mode -- "$1" || true
  wall -- "$1" 2>/dev/null || true
  echo "$1"
}
# systemd starts what fails again, until it gives up; only a configuration that cannot be read (2) is left alone at once, since it stays as bad as it is
if [ "$(systemctl show --property=ExecMainStatus --value -- "$unit")" = 2 ]; then
  loud "$unit cannot read its configuration and stays stopped: journalctl -u $unit -n 50"
  exit 0
fi
# whom people have started so often has not died: it goes on as it was
if [ "$(systemctl show --property=NRestarts --value -- "$unit")" -lt 3 ]; then
  echo "$unit was started too often within a minute; it is started once more"
  systemctl reset-failed -- "$unit"
  systemctl start --no-block -- "$unit"
  exit 0
fi
if grep -Eq "^[[:space:]]*sandbox_mode:[[:space:]]*[\"']?full" "$config"; then
  loud "$unit dies again and again in safe mode too, and stays stopped: journalctl -u $unit -n 50"
  exit 0
fi
sed -i 's/sandbox_mode:.*/sandbox_mode: "full"  # safe mode, set by itself: the service died again and again/' "$config"
loud "SAFE MODE: $unit died again and again; it is started with sandbox_mode \"full\" in $config, nothing it does is real: journalctl -u $unit -n 100"
systemctl reset-failed -- "$unit"
systemctl start --no-block -- "$unit"
