// The service that the page on containers runs: a vault that starts sealed and is unsealed over HTTP, and its web page. Shell scripts, for an image without a network.

const answering = (body: string): string => `#!/bin/sh
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

const serving = (name: string, port: number): string => `#!/bin/sh
trap 'echo "${name}: asked to stop"; exit 0' TERM
rm -f /tmp/unsealed
echo "${name}: serving"
nc -ll -p ${port} -e /bin/answer &
wait
`

const vault = answering(`case "$method $path" in
  'GET /v1/status') if [ -e /tmp/unsealed ]; then answer='{"sealed":false}'; else answer='{"sealed":true}'; fi ;;
  'POST /v1/unseal')
    case $(head -c "$length") in
      *'"open sesame"'*) : >/tmp/unsealed; answer='{"sealed":false}' ;;
      *) status='403 Forbidden'; answer='{"sealed":true}' ;;
    esac ;;
  *) status='404 Not Found'; answer='{}' ;;
esac`)

const page = (version: string): string => answering(`answer='{"web":"${version}"}'`)

const image = (name: string, port: number, answer: string) => ({
  files: { '/bin/serve': serving(name, port), '/bin/answer': answer },
  cmd: ['/bin/serve'],
})

/** Name and tag in the registry at `where` → what the image is made of. */
export function metacryptImages(where: string) {
  return {
    [`${where}/metacrypt-api:v1`]: image('metacrypt-api v1', 8443, vault),
    [`${where}/metacrypt-api:v2`]: image('metacrypt-api v2', 8443, vault),
    [`${where}/metacrypt-web:v1`]: image('metacrypt-web v1', 8080, page('v1')),
    [`${where}/metacrypt-web:v2`]: image('metacrypt-web v2', 8080, page('v2')),
    [`${where}/metacrypt-web:v3`]: image('metacrypt-web v3', 8080, page('v3')),
  }
}
