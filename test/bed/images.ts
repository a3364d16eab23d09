// Images out of busybox and a few files, made where podman is and without a network.

export type Image = { readonly files: Readonly<Record<string, string>>; readonly cmd: readonly string[] }

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
    `tar --owner=0 --group=0 -C "$root" -cf - . | podman import --quiet --change 'ENV PATH=/bin' --change 'CMD ${JSON.stringify(cmd)}' - ${name}`,
    'rm -rf "$root"',
  ].join('\n')
}

/** A script that answers one HTTP request: `body`, with `$method`, `$path` and `$length` (of what can be read), sets `answer`, and perhaps `status`. */
export const answering = (body: string): string => `#!/bin/sh
read -r method path rest
length=0
while read -r name value rest; do
  value=$(printf %s "$value" | tr -d '\\r')
  case $name in [Cc]ontent-[Ll]ength:) length=$value ;; ''|"$(printf '\\r')") break ;; esac
done
status='200 OK'
${body}
printf 'HTTP/1.1 %s\\r\\ncontent-type: application/json\\r\\ncontent-length: %s\\r\\nconnection: close\\r\\n\\r\\n%s\\n' "$status" "$((\${#answer} + 1))" "$answer"
`

/** A server of such a script, sealed anew at each start. */
export const serving = (name: string, port: number, answer: string): Image => ({
  files: {
    '/bin/serve': `#!/bin/sh
trap 'echo "${name}: asked to stop"; exit 0' TERM
rm -f /tmp/unsealed
echo "${name}: serving"
nc -ll -p ${port} -e /bin/answer &
wait
`,
    '/bin/answer': answer,
  },
  cmd: ['/bin/serve'],
})
