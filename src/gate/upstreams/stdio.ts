// An upstream that is a command: each leg is a child process in its own group, spoken to over stdin and stdout.
import { wireLeg } from '../../base/mcp/leg/wire.ts'
import { startChild } from '../../base/supervise/child.ts'
import { childEnvironment } from '../../base/supervise/environment.ts'
import { childWire } from '../../base/supervise/wire.ts'
import { checkIntegrity } from '../integrity.ts'
import type { UpstreamKind } from '../upstream-kind.ts'

const stdio: UpstreamKind = {
  key: 'command',
  async transport(kit, name, { command, cwd, env, secrets, integrity }) {
    const revealed = await Promise.all(
      Object.entries(secrets).map(async ([key, value]) => [key, (await kit.reveal(value)).reveal()] as const),
    )
    const argv = command as [string, ...string[]]
    const whole = { name, argv, cwd: kit.pathOf(cwd ?? '.'), env: childEnvironment(kit.env, { ...env, ...Object.fromEntries(revealed) }) }
    return {
      isCostly: true,
      async open(era, side) {
        if (integrity !== undefined) await checkIntegrity({ name, argv, cwd: whole.cwd, path: whole.env['PATH'] ?? '' }, integrity)
        const child = await startChild(kit, whole)
        void child.ended.then(({ exitCode, signal, lastWords }) => {
          if (exitCode !== 0 && signal === null) kit.log.warn('gate.upstream.ended', { upstream: name, exitCode, lastWords })
        })
        return wireLeg(childWire(child, { limits: kit.limits, log: kit.log, name }), era, name, side)
      },
    }
  },
}

export default stdio
