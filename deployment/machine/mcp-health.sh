#!/bin/sh
# How the machine and its MCP services are, for people: mcp-raspi-health.timer has it told to the journal each day. What cannot be known is unknown.
state() {
  if systemctl is-active --quiet "$2"; then echo "$1: OK"; else echo "$1: FAILED"; fi
}
first() {
  value=$("$@" 2>/dev/null | head -n 1)
  echo "${value:-unknown}"
}
echo '=== MCP Raspi Health Check ==='
echo "Date: $(date)"
echo
echo '--- Services ---'
state 'MCP Server' mcp-raspi-server
state 'Ops Agent' raspi-ops-agent
echo
echo '--- System Resources ---'
cpu() { top -bn1 | awk -F'[, ]+' '/Cpu\(s\)/ { for (at = 2; at <= NF; at++) if ($at == "id") printf "%.1f%% used\n", 100 - $(at - 1) }'; }
memory() { free | awk '/^Mem/ { printf "%.1f%%\n", $3 / $2 * 100 }'; }
disk() { df -P / | awk 'NR == 2 { print $5 }'; }
temperature() {
  if command -v vcgencmd >/dev/null 2>&1; then vcgencmd measure_temp | cut -d= -f2; else awk '{ printf "%.1f'\''C\n", $1 / 1000; exit }' /sys/class/thermal/thermal_zone*/temp; fi
}
echo "CPU: $(first cpu)"
echo "Memory: $(first memory)"
echo "Disk: $(first disk)"
echo "Temp: $(first temperature)"
echo
echo '--- Recent Errors ---'
journalctl --quiet -u mcp-raspi-server --since '24 hours ago' -p err --no-pager 2>/dev/null | tail -n 5
