// The services of a machine in a folder: real processes of the release that `current` leads to; which they are is kept in files.
import { execFileSync, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, readdirSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../kernel/clock.ts'
import { type Units, systemUnits } from './units.ts'

/** What a service's program is: it lives until the FIFO `life` has no writer any more. */
export const livingProgram = '#!/bin/sh\nread -r line < "${0%/releases/*}/life"\n'

/** Lets the services of the folder live until the answer is called, or this process ends, be it by SIGKILL. */
export function keepServices(folder: string): () => void {
  const life = join(folder, 'life')
  execFileSync('mkfifo', [life])
  const end = openSync(life, 'r+')
  return () => closeSync(end)
}

export function processUnits(folder: string): Units {
  const pidFile = (unit: string): string => join(folder, `${unit}.pid`)
  const pidOf = (unit: string): number => (existsSync(pidFile(unit)) ? Number(readFileSync(pidFile(unit), 'utf8')) : 0)
  const units: Units = {
    async state(unit) {
      const pid = pidOf(unit)
      const isUp = pid !== 0 && systemUnits.argvOf(pid).some((word) => word.startsWith(folder))
      return {
        isLoaded: true,
        active: isUp ? 'active' : 'inactive',
        sub: '',
        result: 'success',
        pid: isUp ? pid : 0,
        restarts: 0,
        exitStatus: 0,
      }
    },
    async restart(unit) {
      await units.stop(unit)
      const program = join(realpathSync(join(folder, 'current')), 'bin/fairlead')
      const child = spawn('/bin/sh', [program], { detached: true, stdio: 'ignore' })
      writeFileSync(pidFile(unit), String(child.pid))
      child.unref()
    },
    async stop(unit) {
      const { pid } = await units.state(unit)
      if (pid !== 0) process.kill(-pid, 'SIGKILL')
      while (systemUnits.argvOf(pid).length > 0) await systemClock.wait(1)
    },
    argvOf: systemUnits.argvOf,
  }
  return units
}

/** The services of that folder that run, and of which release they are: seen in /proc. */
export function running(folder: string): readonly { readonly pid: number; readonly version: string }[] {
  const begin = `${folder}/releases/`
  return readdirSync('/proc').flatMap((name) => {
    const [, program = ''] = /^\d+$/.test(name) ? systemUnits.argvOf(Number(name)) : []
    return program.startsWith(begin) ? [{ pid: Number(name), version: program.slice(begin.length).split('/')[0]! }] : []
  })
}
