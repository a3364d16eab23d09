// Components that start sealed: whether one waits for its password, and handing it the password of a person.
import { readFileSync } from 'node:fs'
import { type Clock, deadline } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/fault.ts'
import type { Secret } from '../../kernel/secret.ts'
import { createHttpClient } from '../../base/http/client.ts'
import { fault } from '../faults.ts'
import type { Component } from '../service/config.ts'

export type Seal = NonNullable<Component['seal']>

const timeoutMs = 10_000
const maxAnswerBytes = 64 << 10

/** True while it waits for its password: it says so in JSON, or answers 503. Rejects when it does not answer. */
export async function isSealed(clock: Pick<Clock, 'after'>, { check, ca }: Seal, signal: AbortSignal): Promise<boolean> {
  const { status, text } = await ask({ method: 'GET', url: check, ca }, signal, clock)
  try {
    const { sealed } = JSON.parse(text) as { readonly sealed?: unknown }
    if (typeof sealed === 'boolean') return sealed
  } catch {
    // its status tells
  }
  return status === 503
}

/** Hands it the password. Fault `run.not_unsealed`, which never repeats what was said. */
export async function unseal(clock: Pick<Clock, 'after'>, place: string, seal: Seal, password: Secret): Promise<void> {
  const body = Buffer.from(JSON.stringify({ password: password.reveal() }))
  const signal = deadline(clock, timeoutMs)
  const { status } = await ask({ method: 'POST', url: seal.unseal, ca: seal.ca, body }, signal, clock).catch((error: unknown) => {
    throw fault.not_unsealed({ place, reason: reasonOf(error) }, error)
  })
  if (status >= 300) throw fault.not_unsealed({ place, reason: `it answered HTTP ${status}` })
  if (await isSealed(clock, seal, signal).catch(() => false)) throw fault.not_unsealed({ place, reason: 'it is still sealed' })
}

type Asked = { readonly method: 'GET' | 'POST'; readonly url: string; readonly ca: string | undefined; readonly body?: Uint8Array }

async function ask(
  { method, url, ca, body }: Asked,
  signal: AbortSignal,
  clock: Pick<Clock, 'after'>,
): Promise<{ readonly status: number; readonly text: string }> {
  const http = createHttpClient({ authority: ca === undefined ? undefined : readFileSync(ca, 'utf8') })
  try {
    const headers = { accept: 'application/json', ...(body ? { 'content-type': 'application/json' } : {}) }
    const response = await http.send({
      method,
      url: new URL(url),
      headers,
      signal: deadline(clock, timeoutMs, signal),
      ...(body ? { body } : {}),
    })
    let text = ''
    response.setEncoding('utf8')
    for await (const part of response as AsyncIterable<string>) {
      text += part
      if (text.length > maxAnswerBytes) throw new Error('its answer is too long')
    }
    return { status: response.statusCode!, text }
  } finally {
    http.close()
  }
}
