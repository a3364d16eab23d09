#!/bin/sh
# Backs up the configuration, the data and version.json to /backup/mcp-raspi/<DATE>.tar.gz and, unpacked, to /backup/latest. mcp-raspi-backup.timer runs it at 02:00.
set -eu
umask 077
exec /opt/mcp-raspi/current/bin/fairlead operate backup "$@"
