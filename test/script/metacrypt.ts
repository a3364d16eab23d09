// The service that the page on containers runs: a vault that starts sealed and is unsealed over HTTP, and its web page. Shell scripts, for an image without a network.
import { answering, serving as image } from '../bed/images.ts'

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
