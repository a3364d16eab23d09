// State that several machines share: in the cluster that the configuration names. Without one, nothing of NATS is loaded.
import { isAbsolute, join } from 'node:path'
import type { z } from 'zod'
import type { Clock } from '../../kernel/clock.ts'
import { faults } from '../../kernel/fault.ts'
import { readText } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { type CredentialNeeds, resolveCredential } from '../config/credential.ts'
import type { Kv } from '../kv/kv.ts'
import type { JetstreamKvSettings } from '../kv/jetstream.ts'
import type schema from './config.ts'

export type ClusterConfig = z.output<typeof schema>

/** Opens what the cluster keeps of one `part` of Fairlead, as `openJetstreamKv` does; further faults: `cluster.*` and `credential.*`. */
export type OpenShared = (what: { readonly part: string; readonly maxEntries?: number }) => Promise<Kv>

const fault = faults('cluster', {
  bad_nkey: () => ({
    kind: 'config',
    message: 'cluster.nkey is not the seed of a user: that begins with SU and has 58 characters',
    hint: 'make one: nk -gen user',
  }),
  no_file: (d: { key: string; path: string }) => ({
    kind: 'config',
    message: `${d.key} names ${d.path}, which is not there`,
    hint: 'mend the file, then try: fairlead config check',
  }),
})

export type SharedNeeds = CredentialNeeds & { readonly clock: Clock; readonly log: Log }

/** How shared state is opened where a cluster is configured; undefined where none is. Nothing is read, loaded or dialled before it is used. */
export function sharedBy(needs: SharedNeeds, cluster: ClusterConfig | undefined): OpenShared | undefined {
  if (!cluster) return undefined
  const { clock, log } = needs
  return async ({ part, maxEntries }) => {
    const [settings, { openJetstreamKv }] = await Promise.all([settingsOf(needs, cluster), import('../kv/jetstream.ts')])
    const bounds = maxEntries === undefined ? {} : { maxEntries }
    return openJetstreamKv({ clock, log }, { ...settings, name: `${settings.name}-${part}`, ...bounds })
  }
}

async function settingsOf(needs: CredentialNeeds, { nats, name, replicas, nkey, tls }: ClusterConfig): Promise<JetstreamKvSettings> {
  const text = (key: string, path: string | undefined): string | undefined => {
    if (path === undefined) return undefined
    const full = isAbsolute(path) ? path : join(needs.folder, path)
    const content = readText(full)
    if (content === undefined) throw fault.no_file({ key, path: full })
    return content
  }
  const seed = nkey && (await resolveCredential(nkey, needs))
  if (seed && !/^SU[A-Z2-7]{56}$/.test(seed.reveal())) throw fault.bad_nkey({})
  const [ca, certificate] = [text('cluster.tls.ca', tls?.ca), text('cluster.tls.certificate', tls?.certificate)]
  const key = tls?.key && (await resolveCredential(tls.key, needs))
  return {
    servers: nats,
    name,
    replicas,
    ...(seed ? { seed } : {}),
    ...(tls
      ? { tls: { ...(ca === undefined ? {} : { ca }), ...(certificate === undefined ? {} : { certificate }), ...(key ? { key } : {}) } }
      : {}),
  }
}
