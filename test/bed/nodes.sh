#!/bin/sh
# A place for machines with systemd: a network, a mount table and a podman of its own, which ends with this script, which ends with its standard input. Nothing of the
# machine around is changed. Arguments: an empty folder, the subnet of the network, such as 10.77.0. Says `ready`.
set -eu
folder=$1 subnet=$2

mount --make-rprivate /
mount --make-rshared /
mkdir -p "$folder/ram" "$folder/containers" "$folder/stores" "$folder/dev"
mount -t tmpfs -o mode=755 nodes "$folder/ram"
mount -t tmpfs -o mode=755 nodes /run
mkdir -p /var/lib/containers
mount --bind "$folder/containers" /var/lib/containers
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
for device in net/tun fuse; do
  [ -e "/dev/$device" ] || continue
  mkdir -p "$(dirname "$folder/dev/$device")"
  mknod -m 666 "$folder/dev/$device" c "$(stat -c 0x%t "/dev/$device")" "$(stat -c 0x%T "/dev/$device")"
  mount --bind "$folder/dev/$device" "/dev/$device"
done
ip link set lo up

cat >"$folder/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=$(ulimit -Hn):$(ulimit -Hn)", "nproc=32768:32768"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "$folder/networks"
CONF
export CONTAINERS_CONF="$folder/containers.conf"

end() {
  trap '' HUP INT TERM
  podman rm -fa -t 0 >/dev/null 2>&1 || true
  cd /
  umount -R "$folder/ram" 2>/dev/null || umount -l "$folder/ram" 2>/dev/null || true
  umount -l /var/lib/containers 2>/dev/null || true
  rm -rf "$folder" || { sleep 0.2; rm -rf "$folder"; } # podman may just be leaving a lock file there
}
trap end EXIT
trap 'exit 1' HUP INT TERM

podman network create --subnet "$subnet.0/24" --gateway "$subnet.1" --internal --disable-dns lan >/dev/null
echo ready
cat >/dev/null
