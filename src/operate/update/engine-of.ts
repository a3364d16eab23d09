// Puts the engine together for this machine: its releases, its systemd, its configuration.
import { isLoopback } from '../../base/http/host.ts'
import { loadConfig } from '../../base/config/config.ts'
import { resolveCredential } from '../../base/config/credential.ts'
import type { Context } from '../../base/terminal/command.ts'
import schema, { type OperateConfig } from '../config.ts'
import { type Installation, installationAt } from '../installation.ts'
import { systemUnits } from '../units.ts'
import type { EngineNeeds, EngineSettings } from './engine.ts'
import { problemOf } from './proof.ts'
import { Releases } from './releases.ts'
import { type Source, sourceOf } from './source.ts'
import { join } from 'node:path'

type Parts = Pick<Context, 'clock' | 'log' | 'env' | 'terminal'>

export type Engine = {
  readonly installation: Installation
  readonly config: OperateConfig
  readonly releases: Releases
  readonly needs: EngineNeeds
  readonly settings: EngineSettings
  /** The configured one, or another by its name. */
  source(name?: string): Source
}

/** Faults `config.*`. */
export async function engineOf({ clock, log, env, terminal }: Parts, configPath?: string): Promise<Engine> {
  const installation = installationAt()
  const path = configPath ?? join(installation.config, 'config.yml')
  const { value: config } = await loadConfig({ schema, path })
  const { updates, server } = config
  const releases = new Releases(installation.root)
  // asked for when it is needed: whoever only looks which releases there are may not read credentials
  const problem = async (release: string): Promise<string | undefined> => {
    const token = server.token && (await resolveCredential(server.token, { env, folder: installation.config }))
    return problemOf({ clock }, { url: urlOf(config), token }, release)
  }
  return {
    installation,
    config,
    releases,
    needs: {
      clock,
      log,
      units: systemUnits,
      releases,
      problemOf: problem,
      say: (text) => terminal.log(text),
    },
    settings: {
      root: installation.root,
      trust: { signers: updates.signers, package: updates.package },
      keepVersions: updates.keep_versions,
      healthMs: updates.health_seconds * 1_000,
    },
    source: (name = updates.source) =>
      sourceOf({ source: name, package: updates.package, authority: updates.authority, work: join(installation.root, 'staging') }, env),
  }
}

/** Where this machine itself finds its server, whatever it listens on besides. */
function urlOf({ server: { host, port } }: OperateConfig): string {
  const name = isLoopback(host) ? host : '127.0.0.1'
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}
