// GitHub for one page: its API on port 443, with a certificate of an authority of its own; each call is a line that it prints. And a service that says what address one comes from.
//   github.ts FOLDER     FOLDER/ca.pem is the authority
import { mkdirSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:https'
import process from 'node:process'
import { apiDouble } from '../kit/api-double.ts'
import { makeAuthority, makeCertificate } from '../kit/certificates.ts'

const folder = process.argv[2]!
mkdirSync(folder, { recursive: true })
const { chain, key } = makeCertificate(makeAuthority(folder, 'ca'), ['DNS:api.github.com', 'DNS:api.ipify.org'])
const double = await apiDouble(() => {})
double.delayMs = 20

createServer({ cert: chain, key }, (asked, answer) => {
  const { method, url, headers, socket } = asked
  if (headers.host === 'api.ipify.org') return void answer.end(socket.remoteAddress!.replace('::ffff:', ''))
  process.stdout.write(`${method} ${url}\n`)
  const passed = request(new URL(url!, double.url), { method: method!, headers }, (response) => {
    answer.writeHead(response.statusCode!, response.rawHeaders)
    response.pipe(answer)
  })
  asked.pipe(passed)
}).listen(443, () => process.stdout.write('the API is there\n'))
