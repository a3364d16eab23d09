// A real ssh-agent of its own in a folder, with the keys that are made for it.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

export interface TestAgent {
  readonly socket: string
  /** Makes a key, adds it, and returns the path of its file. */
  add(comment: string, type?: string): string
  /** Removes all keys from it. */
  empty(): void
  /** Adds a key that was made before. */
  addFile(path: string): void
  stop(): Promise<void>
}

/** Starts `ssh-agent` in the foreground and waits for its socket. */
export async function startAgent(folder: string): Promise<TestAgent> {
  const socket = join(folder, 'agent.sock')
  const env = { PATH: process.env['PATH']!, SSH_AUTH_SOCK: socket, HOME: folder }
  const child = spawn('ssh-agent', ['-D', '-a', socket], { env, stdio: 'ignore' })
  const ended = once(child, 'close')
  while (!existsSync(socket))
    await Promise.race([new Promise((resolve) => setTimeout(resolve, 10)), ended.then(() => Promise.reject(new Error('no agent')))])
  let made = 0
  const run = (command: string, ...args: string[]): void => void execFileSync(command, args, { env, stdio: 'pipe' })
  const addFile = (path: string): void => run('ssh-add', '-q', path)
  return {
    socket,
    addFile,
    add(comment, type = 'ed25519') {
      const path = join(folder, `key-${++made}`)
      run('ssh-keygen', '-q', '-t', type, '-N', '', '-C', comment, '-f', path)
      addFile(path)
      return path
    },
    empty: () => run('ssh-add', '-q', '-D'),
    async stop() {
      child.kill()
      await ended
    },
  }
}
