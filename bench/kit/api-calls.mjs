// A program that asks an API by itself, as a job does, with or without a cache of its own in memory: `api-calls.mjs URL TOKEN COUNT TIMES CACHED`. It begins when it is told to on stdin.
import { Agent, request } from 'node:http'

const [url, token, count, times, cached] = process.argv.slice(2)
const agent = new Agent({ keepAlive: true })
const kept = new Map()

function ask(path) {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `token ${token}` }
    const asking = request(`${url}${path}`, { agent, headers }, (response) => {
      const chunks = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('end', () => (response.statusCode === 200 ? resolve(Buffer.concat(chunks)) : reject(new Error(`${response.statusCode}`))))
    })
    asking.on('error', reject).end()
  })
}

process.stdout.write('ready\n')
process.stdin.once('data', async () => {
  const from = performance.now()
  for (let time = 0; time < Number(times); time++)
    for (let at = 0; at < Number(count); at++) {
      const path = `/repos/o/r${at}`
      if (cached === 'cached' && kept.has(path)) continue
      kept.set(path, await ask(path))
    }
  process.stdout.write(`${performance.now() - from}\n`)
  process.exit()
})
