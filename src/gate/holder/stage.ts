// What the commands for stage B work on: the connectors with their toggles, the gateway, and the folder where ledger and receipts lie, as environment and configuration say.
import { dirname, isAbsolute, join, resolve } from 'node:path'
import type { NamedCheck } from '../../base/checks/check.ts'
import { type ConfigEntry, loadMachineConfig } from '../../base/config/machine.ts'
import { createHttpClient } from '../../base/http/client.ts'
import type { Context } from '../../base/terminal/command.ts'
import type { Secret } from '../../kernel/secret.ts'
import { type Examination, type GateCheck, createExamination } from '../examination.ts'
import { type Toggles, togglesFrom } from '../connector/toggles.ts'
import type { Connector } from '../connector-kind.ts'
import { type GateCalls, controlFolder, gateCalls } from '../client.ts'
import { fault } from '../faults.ts'
import type { GateConfig } from '../upstream-kind.ts'
import { type Gateway, createGateway } from './gateway.ts'
import type { HolderSettings } from './holder.ts'
import { settledEvidence } from './live.ts'

type Listed<T> = readonly { readonly owner: string; readonly name: string; load(): Promise<{ readonly default: T }> }[]

/** What lies in the plural folders, as `extensions.ts` lists it; checks of others are among them. */
export type Lists = { readonly configs: readonly ConfigEntry[]; readonly connectors: Listed<Connector>; readonly checks: Listed<unknown> }

export type Stage = AsyncDisposable & {
  readonly checks: readonly NamedCheck<Examination>[]
  readonly toggles: Pick<Toggles, 'isOn' | 'gatewayUrl'>
  readonly holders: readonly HolderSettings[]
  readonly gateway: Gateway
  /** The own API of the gate on this machine; absent: it is not asked. */
  readonly gate: GateCalls | undefined
  readonly logs: string
  readonly tokens: readonly Secret[]
}

/** As the commands get it: with the configuration it comes from. */
export type ConfiguredStage = Stage & { readonly config: GateConfig }

export type StageSettings = { readonly config: string | undefined; readonly instance: string }

export type StageNeeds = Pick<Context, 'clock' | 'env' | 'folders' | 'version'>

/** Faults: those of `loadMachineConfig`, `gate.bad_toggle`. */
export async function openStage(
  { clock, env, folders, version }: StageNeeds,
  lists: Lists,
  { config: file, instance }: StageSettings,
): Promise<ConfiguredStage> {
  const { path, tables } = await loadMachineConfig(lists.configs, folders.config, file)
  const config = tables['gate'] as GateConfig
  const connectors = await loaded(lists.connectors)
  const toggles = togglesFrom(
    env,
    connectors.map(({ id }) => id),
  )
  const holders = connectors.map((connector) => ({
    connector,
    chakra: config.connectors[connector.id]?.chakra ?? connector.chakra,
    instance,
    version,
    toggles: toggles.of(connector.id),
  }))
  const state = config.state ?? join(folders.state, 'gate')
  const logs = config.logs === undefined ? join(state, 'logs') : isAbsolute(config.logs) ? config.logs : resolve(dirname(path), config.logs)
  const http = createHttpClient()
  return {
    config,
    checks: await checksIn(lists),
    toggles,
    holders,
    gateway: createGateway({ clock, http }, toggles.gatewayUrl),
    gate: gateCalls(controlFolder(folders, path, config)),
    logs,
    tokens: tokensOf(holders),
    async [Symbol.asyncDispose]() {
      http.close()
    },
  }
}

export async function loaded<T>(list: Listed<T>): Promise<readonly T[]> {
  return (await Promise.all(list.map((entry) => entry.load()))).map((module) => module.default)
}

/** Those of the gate. */
export async function checksIn({ checks }: Pick<Lists, 'checks'>): Promise<readonly NamedCheck<Examination>[]> {
  const ours = checks.filter(({ owner }) => owner === 'gate')
  return Promise.all(ours.map(async ({ name, load }) => ({ name, check: (await load()).default as GateCheck })))
}

/** Each once, however many connectors it serves. */
export function tokensOf(holders: readonly HolderSettings[]): readonly Secret[] {
  const all = holders.flatMap(({ toggles: { token } }) => (token ? [token] : []))
  return [...new Map(all.map((token) => [token.reveal(), token])).values()]
}

/** What the doctrine looks at here. `isOffline`: no gateway is asked. */
export function examinationOf(
  { clock }: Pick<Context, 'clock'>,
  { toggles, holders, gateway, gate, logs, tokens }: Stage,
  { beating = [], isOffline = false }: { readonly beating?: readonly string[]; readonly isOffline?: boolean } = {},
): Examination {
  const off = fault.mcp_off({})
  return createExamination(
    { clock },
    {
      connectors: holders.map(({ connector }) => connector.id),
      problems: toggles.isOn ? [] : [{ evidence: off.message, remedy: off.hint! }],
      logs,
      tokens,
      beating: new Set(beating),
      live: () => (isOffline ? Promise.reject(fault.not_asked({})) : settledEvidence({ clock, gateway }, { tokens, gate })),
    },
  )
}
