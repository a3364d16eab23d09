// The least that a gateway can do, as a floor under all of them: a child for each session, a body to its stdin as a line, the line that comes back as the
// answer. It checks nothing, records nothing, and hears only one question at a time.
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'

const [port, ...command] = process.argv.slice(2)
const children = new Map()

function child() {
  const { stdin, stdout } = spawn(command[0], command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] })
  const waiting = []
  let partial = ''
  stdout.setEncoding('utf8').on('data', (text) => {
    const lines = (partial + text).split('\n')
    partial = lines.pop()
    for (const line of lines) waiting.shift()?.(line)
  })
  return { write: (line) => stdin.write(`${line}\n`), answer: () => new Promise((resolve) => waiting.push(resolve)) }
}

createServer((request, response) => {
  const given = request.headers['mcp-session-id']
  const session = given ?? `s${children.size + 1}`
  if (!children.has(session)) children.set(session, child())
  let body = ''
  request.setEncoding('utf8').on('data', (text) => (body += text))
  request.on('end', async () => {
    const { write, answer } = children.get(session)
    write(body)
    if (!body.includes('"id":')) return response.writeHead(202).end()
    const line = await answer()
    response
      .writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': session, 'content-length': Buffer.byteLength(line) })
      .end(line)
  })
}).listen(Number(port), '127.0.0.1')
