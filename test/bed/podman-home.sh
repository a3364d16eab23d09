#!/bin/sh
# A user with rootless podman, its API socket, an image and an image registry, in a mount namespace of its own: nothing of the machine is changed, and all of it ends
# with this script, which ends with its standard input. Arguments: an empty folder, a user id and the first of 65536 subordinate ids, all of them nobody else's, and perhaps
# a folder that the user is shown as `shown`.
# Says `registry PORT`, then `ready`.
set -eu
folder=$1 uid=$2 sub=$3
user=flbed
home=$folder/home

# The user stands in copies of the machine's lists, which only this namespace sees.
mount --make-rprivate /
mount --make-rshared /
mkdir -p "$folder/etc" "$folder/dev" "$home/.config/containers" "$folder/run/podman" "$folder/registry"
for list in passwd group subuid subgid; do
  cat "/etc/$list" >"$folder/etc/$list" 2>/dev/null || true
done
echo "$user:x:$uid:$uid::$home:/bin/sh" >>"$folder/etc/passwd"
echo "$user:x:$uid:" >>"$folder/etc/group"
for list in subuid subgid; do echo "$user:$sub:65536" >>"$folder/etc/$list"; done
for list in passwd group subuid subgid; do
  [ -e "/etc/$list" ] && mount --bind "$folder/etc/$list" "/etc/$list"
done

if [ -n "${4:-}" ]; then
  mkdir "$folder/shown"
  mount --bind -o ro "$4" "$folder/shown"
fi

# Devices that everybody may open, where the machine keeps them for root; and no half-mounted cgroup v2, which crun refuses.
for device in net/tun fuse; do
  [ -e "/dev/$device" ] || continue
  mkdir -p "$(dirname "$folder/dev/$device")"
  mknod -m 666 "$folder/dev/$device" c "$(stat -c 0x%t "/dev/$device")" "$(stat -c 0x%T "/dev/$device")"
  mount --bind "$folder/dev/$device" "/dev/$device"
done
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi

# Podman's own defaults ask for higher limits than a machine without CAP_SYS_RESOURCE can give.
cat >"$home/.config/containers/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=$(ulimit -Hn):$(ulimit -Hn)", "nproc=32768:32768"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
CONF
printf '[storage]\ndriver = "overlay"\n' >"$home/.config/containers/storage.conf"
chmod 711 "$folder"
chmod 700 "$folder/run"
chown -R "$uid:$uid" "$home" "$folder/run" "$folder/registry"

as_user() {
  cd "$home"
  setpriv --reuid="$uid" --regid="$uid" --clear-groups --inh-caps=-all \
    env -i HOME="$home" USER=$user PATH=/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8 XDG_RUNTIME_DIR="$folder/run" "$@"
}

# All that the user runs, in user namespaces of its own too, is the user's to end; again, in case one of them was just being made. Who has ended, and waits for
# somebody to take note of it, counts no more.
end() {
  trap '' HUP INT TERM
  tries=0
  while kill_all; ps -o state= -U "$uid" | grep -q '[^Z]' && [ $tries -lt 200 ]; do
    tries=$((tries + 1))
    sleep 0.02
  done
  kill_all
  cd /
  if mountpoint -q "$folder/shown"; then umount -l "$folder/shown" || exit 1; fi
  rm -rf "$folder"
}
kill_all() {
  setpriv --reuid="$uid" --regid="$uid" --clear-groups sh -c 'kill -KILL -1' 2>/dev/null || true
}
trap end EXIT
trap 'exit 1' HUP INT TERM

cat >"$folder/registry.yml" <<CONF
version: 0.1
log: {level: info, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: "$folder/registry"}, delete: {enabled: true}}
http: {addr: "127.0.0.1:0"}
CONF
: >"$folder/registry.log"
as_user docker-registry serve "$folder/registry.yml" >"$folder/registry.log" 2>&1 </dev/null &
port=
tries=0
while [ -z "$port" ]; do
  port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$folder/registry.log")
  tries=$((tries + 1))
  [ $tries -lt 500 ] || { cat "$folder/registry.log" >&2; exit 1; }
  [ -n "$port" ] || sleep 0.01
done
printf '[[registry]]\nlocation = "127.0.0.1:%s"\ninsecure = true\n' "$port" >"$home/.config/containers/registries.conf"

# An image out of one file.
root=$folder/root
mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/proc" "$root/sys" "$root/dev" "$root/root"
cp /bin/busybox "$root/bin/busybox"
for name in $(/bin/busybox --list); do [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"; done
printf 'root:x:0:0:root:/root:/bin/sh\nplain:x:1000:1000:plain:/tmp:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nplain:x:1000:\n' >"$root/etc/group"
tar -C "$root" -cf - . | as_user podman import --quiet --change 'ENV PATH=/bin' --change 'CMD ["/bin/sh"]' - localhost/busybox:1 >/dev/null
rm -rf "$root"

echo "registry $port"
echo ready
cat >/dev/null
