// GitHub for one page: its API on port 443 of all addresses, with a certificate of an authority of its own; each call is a line that it prints. And a service that says what address it is asked from.
//   github.ts FOLDER     FOLDER/ca.pem is the authority
import { mkdirSync } from 'node:fs'
import process from 'node:process'
import { apiDouble } from '../kit/api-double.ts'
import { makeAuthority, makeCertificate } from '../kit/certificates.ts'

const folder = process.argv[2]!
mkdirSync(folder, { recursive: true })
const names = ['DNS:api.github.com', 'DNS:api.ipify.org']
const double = await apiDouble(() => {})
double.delayMs = 20
double.instead = ({ headers, socket }, response) => {
  if (headers.host !== 'api.ipify.org') return false
  response.end(socket.remoteAddress!.replace('::ffff:', ''))
  return true
}
const push = double.seen.push.bind(double.seen)
double.seen.push = (...seen) => {
  for (const { method, url } of seen) process.stdout.write(`${method} ${url}\n`)
  return push(...seen)
}
await double.listenSecurely('0.0.0.0', makeCertificate(makeAuthority(folder, 'ca'), names), 443)
process.stdout.write('the API is there\n')
