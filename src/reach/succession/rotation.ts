// Rotation as a plan: a new key signed by the old one, the old wallet kept aside, the new one in its place, written down and made known. A stop at any moment
// leaves one of the two identities whole, and the next call goes on.
import { dirname, join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import { moveFile, readText, removeFile, statOf, writeWhole } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { type Identity, publicKeyOf } from '../../base/identity/identity.ts'
import { agentIdentity, fault as agentFault } from '../../base/identity/ssh-agent.ts'
import {
  type Wallet,
  type CreateWalletSettings,
  type WalletKeys,
  createWallet,
  loadWallet,
  readWalletCard,
  fault as walletFault,
} from '../../base/identity/wallet.ts'
import { hasUnfinished } from '../../base/steps/journal.ts'
import { type PlanEnd, type Step, carryOut } from '../../base/steps/plan.ts'
import { fault } from '../faults.ts'
import { addToHistory, pastEntries, signHistory } from '../history.ts'
import type { Home } from '../home.ts'
import { digestOf } from '../message/message.ts'
import { type Statement, openStatement, signRotation } from './statement.ts'
import { addToSuccession, removeFromSuccession, succession } from './teller.ts'

export type RotationInput = {
  /** The peer id of the key that is rotated. */
  readonly old: string
  /** Wall time in milliseconds. */
  readonly at: number
  /** The new peer id, when its key is in ssh-agent. */
  readonly inAgent?: string
}

/** Where the new identity is made known. */
export interface RotationRegistry {
  /** Whether it is known there already that the key is not to be used any more. */
  knows(rotation: Statement): Promise<boolean>
  publish(next: Wallet, own: readonly Statement[]): Promise<void>
  /** Moves what was left for the old key, up to the moment when its rotation was known there, to the next one. */
  handOver(old: Identity, next: string): Promise<void>
}

export type RotationNeeds = {
  readonly home: Home
  /** They open the old wallet and the new one, which is sealed when the old one was. */
  readonly keys: WalletKeys
  /** The peer id of the key in ssh-agent to rotate to; a new key in the wallet by default. */
  readonly inAgent?: string | undefined
  /** None: the next registration makes it known. */
  readonly registry: RotationRegistry | undefined
  readonly clock: Clock
  readonly log: Log
}

/** Where the wallet of an identity is kept once it was rotated. */
export function oldWalletPath(home: Home, peerId: string): string {
  return join(dirname(home.wallet), `wallet.old-${peerId.slice(-8)}.json`)
}

/** The plan's name. */
export const rotationPlan = 'rotate'

/** Rotates the key in the home's wallet, or goes on with a rotation that was stopped. Faults of the wallet, `reach.rotation_in_agent`, and of `carryOut`. */
export async function rotate(needs: RotationNeeds): Promise<PlanEnd<RotationInput>> {
  const { home, clock, log, inAgent } = needs
  const begin = (): RotationInput => {
    const card = readWalletCard(home.wallet)
    if (!card) throw walletFault.missing({ path: home.wallet })
    if ((card.isInAgent && inAgent === undefined) || inAgent === card.peerId) throw fault.rotation_in_agent({ peerId: card.peerId })
    removeFile(home.nextWallet) // of a plan that is over
    return { old: card.peerId, at: clock.now(), ...(inAgent === undefined ? {} : { inAgent }) }
  }
  return carryOut({ log }, { folder: home.folder, name: rotationPlan, begin, steps: (input) => rotationSteps(needs, input) })
}

/** Whether a rotation was begun and did not come to its end. */
export function rotationIsUnfinished({ folder }: Home): boolean {
  return hasUnfinished(folder, rotationPlan)
}

/** The steps, each as `Step` wants it. From the history on there is no way back. */
export function rotationSteps(needs: RotationNeeds, input: RotationInput): Step[] {
  return [
    newKey(needs, input),
    statement(needs, input),
    oldWallet(needs, input),
    newWallet(needs, input),
    history(needs, input),
    publication(needs, input),
    mailbox(needs, input),
  ]
}

type NextKey = Pick<CreateWalletSettings, 'identity' | 'isInAgent' | 'passphrase' | 'keychain'>

function idIn(path: string): string | undefined {
  return readWalletCard(path)?.peerId
}

/** The identity that is to be rotated; somebody may have put another wallet there meanwhile. */
async function loadOld({ home, keys }: RotationNeeds, { old }: RotationInput): Promise<Wallet> {
  const wallet = await loadWallet(home.wallet, keys)
  if (wallet.identity.peerId !== old) throw fault.rotation_overtaken({ old, found: wallet.identity.peerId })
  return wallet
}

function newKey(needs: RotationNeeds, input: RotationInput): Step {
  const { home } = needs
  return {
    name: 'make the new key',
    isDone: () => idIn(home.nextWallet) !== undefined,
    async do() {
      const { name } = await loadOld(needs, input)
      await createWallet(home.nextWallet, { name, ...(await nextKey(needs, input)) })
    },
    undo: () => removeFile(home.nextWallet),
  }
}

/** What `createWallet` is told of the new key. */
async function nextKey({ home, keys: { agent, passphrase } }: RotationNeeds, { inAgent }: RotationInput): Promise<NextKey> {
  if (inAgent !== undefined) {
    if (!agent) throw agentFault.not_set({})
    return { identity: await agentIdentity(agent, publicKeyOf(inAgent)), isInAgent: true }
  }
  const card = readWalletCard(home.wallet)
  if (!card?.isSealed) return {}
  return { passphrase: typeof passphrase === 'function' ? await passphrase() : passphrase, keychain: card.keychain }
}

/** What the old key signed in this plan. */
function said({ home }: RotationNeeds, { old }: RotationInput): (Statement & { says: 'rotated' }) | undefined {
  const next = [idIn(home.nextWallet), idIn(home.wallet)].filter((id) => id !== undefined && id !== old)
  const found = next.map((id) => succession(home.succession, id!).at(-1)).find((statement) => statement?.peerId === old)
  return found?.says === 'rotated' ? found : undefined
}

function statement(needs: RotationNeeds, input: RotationInput): Step {
  const { home, keys } = needs
  return {
    name: 'sign the new key with the old one',
    isDone: () => said(needs, input) !== undefined,
    async do() {
      const [old, next] = [await loadOld(needs, input), await loadWallet(home.nextWallet, keys)]
      addToSuccession(home.succession, openStatement(await signRotation(old.identity, next.identity, input.at)))
    },
    undo: () => removeFromSuccession(home.succession, input.old),
  }
}

function oldWallet({ home }: RotationNeeds, { old }: RotationInput): Step {
  const path = oldWalletPath(home, old)
  return {
    name: 'keep the old wallet aside',
    isDone: () => idIn(path) === old,
    do() {
      const found = idIn(home.wallet)
      if (found !== old) throw fault.rotation_overtaken({ old, found })
      writeWhole(path, readText(home.wallet)!, 0o600)
    },
    undo() {
      if (idIn(home.wallet) === old) removeFile(path) // else it may be the only copy
    },
  }
}

function newWallet(needs: RotationNeeds, input: RotationInput): Step {
  const { home } = needs
  const { old } = input
  const kept = oldWalletPath(home, old)
  return {
    name: 'put the new wallet in place',
    isDone: () => statOf(home.nextWallet) === undefined && idIn(home.wallet) !== old,
    do() {
      const found = idIn(home.wallet)
      if (found !== undefined && found !== old) throw fault.rotation_overtaken({ old, found })
      moveFile(home.nextWallet, home.wallet)
    },
    undo() {
      if (idIn(kept) !== old || idIn(home.wallet) !== said(needs, input)?.next) return
      writeWhole(home.nextWallet, readText(home.wallet)!, 0o600)
      writeWhole(home.wallet, readText(kept)!, 0o600)
    },
  }
}

/** A history that cannot be written holds nothing up, and nothing is to be told of a key whose wallet was taken away meanwhile. */
function history(needs: RotationNeeds, input: RotationInput): Step {
  const { home, keys, clock, log } = needs
  let isGivenUp = false
  return {
    name: 'write it into the history',
    isDone() {
      const statement = said(needs, input)
      return isGivenUp || !statement || pastEntries(home, 100).some(({ message }) => message === digestOf(statement.signed))
    },
    async do() {
      const { next, signed } = said(needs, input)!
      const entry = { event: 'rotated', peer: next, message: digestOf(signed) } as const
      isGivenUp = !(await addToHistory({ clock, log }, home, entry))
      if (!isGivenUp) await signAnew({ clock, log }, home, async () => (await loadWallet(home.wallet, keys)).identity)
    },
  }
}

/** What the old key signed of the history is signed by the new one, if it still holds: else it would count no more, and what was altered before would not be found. */
async function signAnew(needs: Pick<RotationNeeds, 'clock' | 'log'>, home: Home, next: () => Promise<Identity>): Promise<void> {
  try {
    await signHistory({ ...needs, identity: await next() }, home)
  } catch (error) {
    needs.log.warn('reach.history.not_signed', { file: home.history, problem: asFault(error).message })
  }
}

function publication(needs: RotationNeeds, input: RotationInput): Step {
  const { home, keys, registry } = needs
  return {
    name: 'make it known at the registry',
    async isDone() {
      const statement = said(needs, input)
      return !registry || !statement || registry.knows(statement)
    },
    async do() {
      const next = await loadWallet(home.wallet, keys)
      await registry?.publish(next, succession(home.succession, next.identity.peerId))
    },
  }
}

/** After this nobody leaves anything for the old key any more. What cannot be fetched holds nothing up: it ends in the mailbox as it would without us. */
function mailbox(needs: RotationNeeds, input: RotationInput): Step {
  const { home, keys, registry, log } = needs
  let isOver = false
  return {
    name: 'hand over what was left for the old key',
    isDone: () => !registry || !said(needs, input) || isOver,
    async do() {
      const kept = oldWalletPath(home, input.old)
      try {
        // a key in ssh-agent opens nothing, and an old wallet that is gone no more
        if (readWalletCard(kept)?.isInAgent === false)
          await registry?.handOver((await loadWallet(kept, keys)).identity, said(needs, input)!.next)
      } catch (error) {
        log.warn('reach.mailbox.not_handed_over', { of: input.old, problem: asFault(error).message })
      }
      isOver = true
    },
  }
}
