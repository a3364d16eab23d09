// Images out of busybox and a few files, made where podman is and without a network.

/** A shell script that makes the image `name`, of which `files` are a part (path → text, all of them executable); its command is a shell by default. */
export function imageScript(name: string, files: Readonly<Record<string, string>> = {}, cmd: readonly string[] = ['/bin/sh']): string {
  const written = Object.entries(files).map(([path, text]) => {
    const quoted = text.replaceAll("'", `'\\''`)
    return `mkdir -p "$(dirname "$root${path}")"; printf %s '${quoted}' >"$root${path}"; chmod 755 "$root${path}"`
  })
  return [
    'set -eu',
    'root=$(mktemp -d)',
    `mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/proc" "$root/sys" "$root/dev" "$root/root" "$root/data"`,
    'cp /bin/busybox "$root/bin/busybox"',
    'for one in $(/bin/busybox --list); do [ "$one" = busybox ] || ln -s busybox "$root/bin/$one"; done',
    'echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"; echo root:x:0: >"$root/etc/group"',
    ...written,
    `tar -C "$root" -cf - . | podman import --quiet --change 'ENV PATH=/bin' --change 'CMD ${JSON.stringify(cmd)}' - ${name}`,
    'rm -rf "$root"',
  ].join('\n')
}
