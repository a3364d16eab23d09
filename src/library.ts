// The package for programs that share what they were told: `import { getGlobalCache } from 'fairlead/share'`.
import { homedir } from 'node:os'
import { PassThrough, Writable } from 'node:stream'
import process from 'node:process'
import type { PeerStreams } from './base/terminal/command.ts'
import { foldersOf, homeFolder } from './base/terminal/folders.ts'
import { createTerminal } from './base/terminal/terminal.ts'
import { systemClock as clock } from './kernel/clock.ts'
import { createLog, silentLog } from './kernel/log.ts'
import type { GlobalCache, GlobalCacheOptions } from './share/global-cache-api.ts'
import { createGlobalCache } from './share/global-cache.ts'

/** Keeps the one that a process has. */
function oneOf(open: (options: GlobalCacheOptions, onShutdown: () => void) => GlobalCache): (options?: GlobalCacheOptions) => GlobalCache {
  let one: GlobalCache | undefined
  return (options = {}) => (one ??= open(options, () => (one = undefined)))
}

/** The cache of this process, the same at each call; options count at the first. Nothing is opened before one of its methods is called. Faults: see `GlobalCache`. */
export const getGlobalCache = oneOf(({ env = process.env, log: write }, onShutdown) => {
  const log = write ? createLog(write, () => clock.now()) : silentLog
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  // nobody sits there: what a person would be told is in the log
  const terminal = {
    ...createTerminal({ stdout: nowhere, stderr: nowhere, isTerminal: false, json: true, colour: false }),
    note: (text: string) => log.warn('share.note', { text }),
  }
  const folders = foldersOf(env, homeFolder(env, homedir), process.getuid?.() === 0)
  const opening = { env, log, clock, folders, terminal, stdin: new PassThrough(), signal: new AbortController().signal }
  const streams = async (): Promise<PeerStreams> => (await import('./daemons/peer-streams.ts')).peerStreams(opening)
  const peers: PeerStreams = {
    dial: async (asked) => (await streams()).dial(asked),
    serve: async (asked, accept) => (await streams()).serve(asked, accept),
  }
  return createGlobalCache({ ...opening, peers }, onShutdown)
})
