#!/bin/sh
# One machine more: systemd as its first process, on a throw-away overlay of this machine's own files, with a lingering user `mcp` who has rootless podman. Run inside the
# place that nodes.sh makes. Arguments: its folder, the machine's name, its address, then options for `podman run`. It boots when this ends.
set -eu
folder=$1 name=$2 address=$3
shift 3
own=$folder/ram/$name
root=$own/root
uid=20001
mkdir -p "$own/upper" "$own/work" "$root" "$folder/stores/$name"

# What a fresh machine has not: opaque folders hide those of this machine, whatever is in them.
/usr/bin/python3 - "$own/upper" <<'PY'
import os, sys
for name, mode in [('tmp', 0o1777), ('run', 0o755), ('var/tmp', 0o1777), ('var/log/journal', 0o755), ('var/lib/containers', 0o755),
                   ('home', 0o755), ('root', 0o700), ('srv', 0o755)]:
    path = os.path.join(sys.argv[1], name)
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)
    os.setxattr(path, 'trusted.overlay.opaque', b'y')
PY
mount -t overlay "$name" -o "lowerdir=/,upperdir=$own/upper,workdir=$own/work" "$root"

for list in passwd group shadow subuid subgid; do
  [ -e "$root/etc/$list" ] || : >"$root/etc/$list"
  sed -i -e '/^mcp:/d' "$root/etc/$list"
done
echo "mcp:x:$uid:$uid::/home/mcp:/bin/bash" >>"$root/etc/passwd"
echo "mcp:x:$uid:" >>"$root/etc/group"
echo 'mcp:*:19000:0:99999:7:::' >>"$root/etc/shadow"
for list in subuid subgid; do echo 'mcp:524288000:65536' >>"$root/etc/$list"; done
mkdir -p "$root/run/lock" "$root/home/mcp/.config/containers" "$root/home/mcp/.local/share/containers" "$root/var/lib/systemd/linger" "$root/etc/containers"
printf '[storage]\ndriver = "overlay"\n' >"$root/home/mcp/.config/containers/storage.conf"
sed -e '/cgroup_manager/d' -e '/events_logger/d' -e '/network_config_dir/d' "$folder/containers.conf" >"$root/etc/containers/containers.conf"
: >"$root/var/lib/systemd/linger/mcp"
chown -R "$uid:$uid" "$root/home/mcp" "$folder/stores/$name"
echo "$name" >"$root/etc/hostname"
: >"$root/etc/machine-id"

# Only what a bare machine runs: every other unit that is on here stays off.
for unit in "$root"/etc/systemd/system/*.wants/*; do
  [ -L "$unit" ] || continue
  case ${unit##*/} in getty@* | remote-fs.target | systemd-pstore.service) ;; *) rm -f "$unit" ;; esac
done
for unit in systemd-sysctl systemd-modules-load systemd-udevd systemd-udev-trigger systemd-timesyncd systemd-networkd e2scrub_reap; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
done
ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"

podman run -d --name "$name" --hostname "$name" --net "lan:ip=$address,mac=$(printf '02:4d:00:00:00:%02x' "${address##*.}")" --systemd=always --cap-add=SYS_ADMIN,NET_ADMIN,SYS_PTRACE,MKNOD \
  --security-opt seccomp=unconfined --security-opt unmask=ALL --device /dev/net/tun --device /dev/fuse \
  -v "$folder/stores/$name:/home/mcp/.local/share/containers" "$@" --rootfs "$root" /lib/systemd/systemd >/dev/null
