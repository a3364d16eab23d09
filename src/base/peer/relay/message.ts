// The messages of libp2p's circuit relay v2 (specification `relay/circuit-v2`), by which a peer without an open port is reached through one that has one.
//
//   hop    to the relay: RESERVE keeps a place there, CONNECT asks for a circuit to somebody who has one. Answered with STATUS
//   stop   from the relay to whoever has the place: CONNECT brings a circuit. Answered with STATUS; then the stream is the circuit
//
// Each is protobuf behind its length. Read and written here, and not by the library, so that a relay holds no more of a circuit than a stream's window.
import type { Duplex } from 'node:stream'
import { peerIdBytes, peerIdIn } from '../../identity/identity.ts'

export const hopProtocol = '/libp2p/circuit/relay/0.2.0/hop'
export const stopProtocol = '/libp2p/circuit/relay/0.2.0/stop'

export const hopTypes = { reserve: 0, connect: 1, status: 2 } as const
export const stopTypes = { connect: 0, status: 1 } as const
/** 100 is a yes; every other one is a no. */
export const statuses = {
  ok: 100,
  refused: 200,
  full: 201,
  denied: 202,
  failed: 203,
  noPlace: 204,
  malformed: 400,
  unexpected: 401,
} as const

export type RelayMessage = {
  readonly type: number
  /** Whole peer id. */
  readonly peer?: string
  readonly reservation?: {
    /** Unix time in seconds. */
    readonly expire: number
    /** Binary multiaddrs at which the relay is reached. */
    readonly addresses: readonly Uint8Array[]
  }
  /** What the relay carries at most, when it says so: seconds, bytes. */
  readonly limit?: { readonly seconds?: number; readonly bytes?: number }
  readonly status?: number
}

/** The two kinds number their fields differently. */
const numbers = {
  hop: { type: 1, peer: 2, reservation: 3, limit: 4, status: 5 },
  stop: { type: 1, peer: 2, reservation: -1, limit: 3, status: 4 },
} as const
export type RelayKind = keyof typeof numbers

/** Nobody needs more: a message holds ids and a few addresses. */
const maxMessageBytes = 4 << 10

/** The message behind its length. */
export function relayBytes(kind: RelayKind, { type, peer, reservation, limit, status }: RelayMessage): Buffer {
  const at = numbers[kind]
  const body = Buffer.concat([
    ...number(at.type, type),
    ...(peer === undefined ? [] : bytes(at.peer, Buffer.concat(bytes(1, peerIdBytes(peer))))),
    ...(reservation
      ? bytes(
          at.reservation,
          Buffer.concat([...number(1, reservation.expire), ...reservation.addresses.flatMap((address) => bytes(2, address))]),
        )
      : []),
    ...(limit ? bytes(at.limit, Buffer.concat([...number(1, limit.seconds ?? 0), ...number(2, limit.bytes ?? 0)])) : []),
    ...(status === undefined ? [] : number(at.status, status)),
  ])
  return Buffer.concat([varint(body.length), body])
}

/** Reads a message without its length; throws a plain error for what is none, ids of other kinds of key included. */
export function relayMessage(kind: RelayKind, body: Uint8Array): RelayMessage {
  const at = numbers[kind]
  const fields = fieldsOf(body)
  const type = numberIn(fields, at.type)
  if (type === undefined) throw new Error('a relay message without a type')
  const peer = bytesIn(fields, at.peer)
  const reservation = bytesIn(fields, at.reservation)
  const limit = bytesIn(fields, at.limit)
  const status = numberIn(fields, at.status)
  const id = peer && bytesIn(fieldsOf(peer), 1)
  return {
    type,
    ...(id ? { peer: peerIdIn(id) } : {}),
    ...(reservation ? { reservation: reservationIn(fieldsOf(reservation)) } : {}),
    ...(limit ? { limit: limitIn(fieldsOf(limit)) } : {}),
    ...(status === undefined ? {} : { status }),
  }
}

/** Takes one message off the stream and leaves the rest in it. Rejects when the stream ends before, or brings something else. */
export async function readRelayMessage(kind: RelayKind, stream: Duplex): Promise<RelayMessage> {
  let length = 0
  for (let shift = 0; ; shift += 7) {
    const [byte] = await taken(stream, 1)
    length |= (byte! & 0x7f) << shift
    if (byte! < 0x80) break
    if (shift === 14) throw new Error('a relay message of no sensible length')
  }
  if (length === 0 || length > maxMessageBytes) throw new Error(`a relay message of ${length} bytes`)
  return relayMessage(kind, await taken(stream, length))
}

function taken(stream: Duplex, count: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stop = (): void => void stream.off('readable', look).off('end', fail).off('close', fail).off('error', fail)
    const fail = (): void => {
      stop()
      reject(new Error('the stream ended in the middle of a relay message'))
    }
    const look = (): void => {
      const found = stream.read(count) as Buffer | null
      if (found === null) return
      if (found.length < count) return fail() // what is left at the end of the stream
      stop()
      resolve(found)
    }
    stream.on('readable', look).on('end', fail).on('close', fail).on('error', fail)
    if (stream.destroyed || stream.readableEnded) fail()
    else look()
  })
}

type Field = { readonly at: number; readonly value: number | Uint8Array }

function fieldsOf(body: Uint8Array): Field[] {
  const fields: Field[] = []
  let place = 0
  const next = (): number => {
    let value = 0
    for (let i = 0; i < 10; i++) {
      const byte = body[place++]
      if (byte === undefined) break
      value += (byte & 0x7f) * 2 ** (7 * i)
      if (byte < 0x80) return value
    }
    throw new Error('a relay message that is cut off')
  }
  while (place < body.length) {
    const key = next()
    const wireType = key % 8
    if (wireType !== 0 && wireType !== 2) throw new Error(`a relay message with a field of wire type ${wireType}`)
    const value = next()
    if (wireType === 0) fields.push({ at: Math.floor(key / 8), value })
    else if (value > body.length - place) throw new Error('a relay message that is cut off')
    else fields.push({ at: Math.floor(key / 8), value: body.subarray(place, (place += value)) })
  }
  return fields
}

/** Protobuf: of a field that stands there twice, the last one counts. */
function numberIn(fields: readonly Field[], at: number): number | undefined {
  const value = fields.findLast((field) => field.at === at)?.value
  if (value instanceof Uint8Array) throw new Error('a relay message with bytes for a number')
  return value
}

function bytesIn(fields: readonly Field[], at: number): Uint8Array | undefined {
  const value = fields.findLast((field) => field.at === at)?.value
  if (typeof value === 'number') throw new Error('a relay message with a number for bytes')
  return value
}

function reservationIn(fields: readonly Field[]): NonNullable<RelayMessage['reservation']> {
  const addresses = fields.flatMap(({ at, value }) => (at === 2 && value instanceof Uint8Array ? [value] : []))
  return { expire: numberIn(fields, 1) ?? 0, addresses }
}

function limitIn(fields: readonly Field[]): NonNullable<RelayMessage['limit']> {
  const [seconds, sizeBytes] = [numberIn(fields, 1), numberIn(fields, 2)]
  return { ...(seconds ? { seconds } : {}), ...(sizeBytes ? { bytes: sizeBytes } : {}) }
}

function varint(value: number): Buffer {
  const digits: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...digits, rest])
    digits.push((rest % 128) | 0x80)
  }
}

function number(at: number, value: number): Buffer[] {
  return [varint(at * 8), varint(value)]
}

function bytes(at: number, value: Uint8Array): Buffer[] {
  return [varint(at * 8 + 2), varint(value.length), Buffer.from(value)]
}
