// Stands between a client and a server that speak stdio: passes every byte on, and writes each line down with its direction (`>` to the server, `<` from it).
import { spawn } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import process from 'node:process'
import type { Readable, Writable } from 'node:stream'

const [file, command, ...args] = process.argv.slice(2) as [string, string, ...string[]]
const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
pass('>', process.stdin, child.stdin)
pass('<', child.stdout, process.stdout)
child.on('close', (code) => process.exit(code ?? 1))

function pass(direction: '>' | '<', from: Readable, to: Writable): void {
  let rest = Buffer.alloc(0)
  to.on('error', () => {}) // who is gone reads nothing
  from.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      appendFileSync(file, Buffer.concat([Buffer.from(direction), rest.subarray(0, end + 1)]))
      rest = rest.subarray(end + 1)
    }
    to.write(chunk)
  })
  from.on('end', () => to.end())
}
