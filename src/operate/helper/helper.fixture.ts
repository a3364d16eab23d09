// A helper with files and a socket of its own in a temporary folder: for tests.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { later } from '../../../test/kit/cleanup.ts'
import type { ToolSource } from '../../base/mcp/tool/tool.ts'
import { systemClock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import { createHost } from '../host.ts'
import type { MachineNeeds } from '../needs.ts'
import { lampTools } from './lamps.fixture.ts'
import { type HelperDaemon, startHelper } from './serve.ts'

export type TestHelper = {
  readonly folder: string
  readonly configFile: string
  readonly socket: string
  start(): Promise<HelperDaemon>
  configure(text: string): void
  /** The lines of its record, read from the file. */
  recorded(): Record<string, unknown>[]
}

/** `text`: of its config.yml; the ledger and the socket are in the folder. */
export function testHelper(text = '', tools: readonly ToolSource<MachineNeeds>[] = lampTools): TestHelper {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-helper-'))
  later(() => rmSync(folder, { recursive: true }))
  const configFile = join(folder, 'config.yml')
  const socket = join(folder, 'run/ops-agent.sock')
  mkdirSync(join(folder, 'run'), { mode: 0o750 })
  const configure = (wanted: string): void =>
    writeFileSync(configFile, wanted.replaceAll('LEDGER', join(folder, 'ledger')), { mode: 0o640 })
  configure(text === '' ? 'helper:\n  ledger: LEDGER\n' : text)
  return {
    folder,
    configFile,
    socket,
    configure,
    async start() {
      const needs = { clock: systemClock, log: silentLog, host: createHost(), version: '1', tools }
      const helper = await startHelper(needs, { config: configFile, socket })
      later(() => helper.close())
      return helper
    },
    recorded: () =>
      readFileSync(join(folder, 'ledger/audit.log'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  }
}
