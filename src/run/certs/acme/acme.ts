// Certificates from an ACME server for the names of routes: one order at a time, each kept in a file until its certificate is in its place, so that a kill costs none.
import { join } from 'node:path'
import type { HttpClient } from '../../../base/http/client.ts'
import { openListener } from '../../../base/http/listener.ts'
import { type Clock, deadline } from '../../../kernel/clock.ts'
import { Fault, reasonOf } from '../../../kernel/fault.ts'
import { makeFolder, readText, removeFile, writeWhole } from '../../../kernel/file.ts'
import { fault } from '../../faults.ts'
import { newKey, requestFor } from '../authority.ts'
import type { CertificateSource } from '../keeping.ts'
import { AcmeProblem, openAccount } from './account.ts'
import { type ChallengeDoor, carryOut, placeOrder } from './order.ts'

const timeoutMs = 120_000

export type AcmeSettings = {
  /** `https://…/directory` */
  readonly directory: string
  /** Addresses of mail, for what the authority has to say. */
  readonly contact: readonly string[]
  /** Where it answers to the authority: what port 80 of each name leads to. */
  readonly host: string
  readonly port: number
  /** For the account's key and orders that are under way, at that authority. */
  readonly folder: string
}

type Needs = { readonly clock: Clock; readonly http: Pick<HttpClient, 'send'> }

/** The source of the certificate of each name. Faults of it: `run.challenge_failed`, `run.certificate_failed`. */
export function acmeSources(needs: Needs, settings: AcmeSettings): (name: string) => CertificateSource {
  let last: Promise<unknown> = Promise.resolve()
  return (name) => {
    const kept = keptOrder(settings, name)
    return {
      name: 'acme',
      issue(signal) {
        const next = last.then(() => issue(needs, settings, { name, kept, signal: deadline(needs.clock, timeoutMs, signal) }))
        last = next.catch(() => {}) // they would share the port
        return next
      },
      taken: kept.forget,
    }
  }
}

type Kept = ReturnType<typeof keptOrder>

async function issue(
  { clock, http }: Needs,
  settings: AcmeSettings,
  { name, kept, signal }: { readonly name: string; readonly kept: Kept; readonly signal: AbortSignal },
) {
  try {
    signal.throwIfAborted()
    const account = await openAccount(http, settings, signal)
    const needs = { account, clock, openDoor: challengeDoor({ clock }, settings, name) }
    const carry = async ({ order, key }: Order) => ({
      chain: await carryOut(needs, order, () => requestFor(settings.folder, [name], key), signal),
      key,
    })
    const before = kept.read()
    if (before) {
      try {
        return await carry(before)
      } catch (error) {
        if (!(error instanceof AcmeProblem) || error.mayPass) throw error
        kept.forget() // dead, or too old: another one
      }
    }
    const order = { order: await placeOrder(account, name, signal), key: newKey() }
    kept.write(order)
    return await carry(order)
  } catch (error) {
    if (error instanceof Fault) throw error
    if (error instanceof AcmeProblem) {
      if (!error.mayPass) kept.forget()
      throw fault.challenge_failed(
        { name, directory: settings.directory, listen: `${settings.host}:${settings.port}`, reason: error.message },
        error,
      )
    }
    throw fault.certificate_failed({ reason: `the authority at ${settings.directory}: ${reasonOf(error)}` }, error)
  }
}

type Order = { readonly order: string; readonly key: string }

/** Of that name. Its key is with it: without it the certificate would be lost with the process. */
function keptOrder({ folder }: AcmeSettings, name: string) {
  const path = join(folder, `${name}-order.json`)
  return {
    read(): Order | undefined {
      try {
        return JSON.parse(readText(path) ?? '') as Order
      } catch {
        return undefined // there is none, or none that could be gone on with
      }
    },
    write(order: Order): void {
      makeFolder(folder)
      writeWhole(path, JSON.stringify(order))
    },
    forget: () => removeFile(path),
  }
}

/** Listens only while the authority looks, answers for that name and token alone, and sends nobody anywhere. */
function challengeDoor({ clock }: Pick<Needs, 'clock'>, { host, port }: AcmeSettings, name: string): ChallengeDoor {
  return async (token, proof) => {
    const listener = await openListener({
      clock,
      name: 'the answer to the certificate authority',
      host,
      port,
      ownHosts: [name],
      handle(request, response) {
        const isAsked = request.method === 'GET' && request.url === `/.well-known/acme-challenge/${token}`
        response.writeHead(isAsked ? 200 : 404, { 'content-type': 'application/octet-stream' }).end(isAsked ? proof : undefined)
      },
    })
    return { [Symbol.asyncDispose]: () => listener.close(0) }
  }
}
