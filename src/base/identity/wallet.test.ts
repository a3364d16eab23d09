// Proves on real files that a wallet keeps its key to its owner, and that every bad state of it is told.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { Secret } from '../../kernel/secret.ts'
import { createWallet, loadWallet, readWalletCard } from './wallet.ts'

const root = mkdtempSync(join(tmpdir(), 'wallet-'))
afterAll(() => rmSync(root, { recursive: true }))
let count = 0
const place = (): string => join(root, `home-${++count}`, 'deep', 'wallet.json')
const code = (name: string) => expect.objectContaining({ code: `wallet.${name}` })

test('a new wallet is 0600 in a 0700 folder and gives the same identity again', async () => {
  const path = place()
  const { identity } = await createWallet(path, { name: 'Builder' })
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700)
  const again = await loadWallet(path)
  expect(again.name).toBe('Builder')
  expect(again.identity.peerId).toBe(identity.peerId)
  expect(again.identity.privateKeyRaw).toEqual(identity.privateKeyRaw)
  expect(readWalletCard(path)).toEqual({ name: 'Builder', peerId: identity.peerId, isSealed: false, isInAgent: false })
})

test('a wallet is never overwritten without force, and with it the old one is kept', async () => {
  const path = place()
  await createWallet(path, { name: 'One' })
  const before = readFileSync(path, 'utf8')
  await expect(createWallet(path, { name: 'Two' })).rejects.toThrow(code('exists'))
  expect(readFileSync(path, 'utf8')).toBe(before)
  const { keptAside } = await createWallet(path, { name: 'Two', replaceAt: Date.UTC(2026, 10, 20) })
  expect(keptAside).toBe(`${path}.20261120T000000.000Z`)
  expect((await loadWallet(path)).name).toBe('Two')
  const second = readFileSync(path, 'utf8')
  const again = await createWallet(path, { name: 'Three', replaceAt: Date.UTC(2026, 10, 20) })
  expect(readFileSync(keptAside!, 'utf8')).toBe(before)
  expect(readFileSync(again.keptAside!, 'utf8')).toBe(second)
  expect(statSync(keptAside!).mode & 0o777).toBe(0o600)
  writeFileSync(path, '{')
  await expect(createWallet(path, { name: 'Four' })).rejects.toThrow(code('exists'))
})

test('a passphrase seals the key: not in the file, not without it, not with another, not after any change', async () => {
  const path = place()
  const passphrase = new Secret('corréct horse')
  const { identity } = await createWallet(path, { name: 'Sealed', passphrase })
  const text = readFileSync(path, 'utf8')
  expect(text).not.toContain(Buffer.from(identity.privateKeyRaw).toString('base64url'))
  expect(JSON.parse(text).key.logN).toBe(17)
  expect((await loadWallet(path, { passphrase: new Secret('corréct horse') })).identity.peerId).toBe(identity.peerId)
  await expect(loadWallet(path)).rejects.toThrow(code('locked'))
  await expect(loadWallet(path, { passphrase: async () => new Secret('correct horse') })).rejects.toThrow(code('wrong_passphrase'))
  expect(readWalletCard(path)?.isSealed).toBe(true)
  writeFileSync(path, text.replace('"Sealed"', '"Sealer"'))
  await expect(loadWallet(path, { passphrase })).rejects.toThrow(code('wrong_passphrase'))
}, 120_000)

test('loose modes of file or folder are refused with the command that mends them', async () => {
  const path = place()
  await createWallet(path, { name: 'Loose' })
  chmodSync(path, 0o640)
  await expect(loadWallet(path)).rejects.toThrow(
    expect.objectContaining({ code: 'wallet.loose_mode', hint: expect.stringContaining(`chmod 600 '${path}'`) }),
  )
  chmodSync(path, 0o600)
  chmodSync(join(path, '..'), 0o770)
  await expect(loadWallet(path)).rejects.toThrow(code('loose_mode'))
  expect(() => readWalletCard(path)).toThrow(code('loose_mode'))
  mkdirSync(join(root, 'open'), { mode: 0o777 })
  chmodSync(join(root, 'open'), 0o777)
  await expect(createWallet(join(root, 'open', 'wallet.json'), { name: 'Loose' })).rejects.toThrow(code('loose_mode'))
})

test('a missing or damaged wallet says what is wrong with it', async () => {
  const path = place()
  await expect(loadWallet(path)).rejects.toThrow(code('missing'))
  expect(readWalletCard(path)).toBeUndefined()
  await createWallet(path, { name: 'Damaged' })
  const whole = JSON.parse(readFileSync(path, 'utf8'))
  const other = (await createWallet(place(), { name: 'Other' })).identity.peerId
  const bad: [unknown, string][] = [
    ['', 'empty'],
    ['{"wallet":', 'not JSON'],
    [[], 'version 1'],
    [null, 'version 1'],
    [{ ...whole, wallet: 2 }, 'version 1'],
    [{ ...whole, name: 7 }, 'name'],
    [{ ...whole, peerId: 'x' }, 'peer id'],
    [{ ...whole, peerId: other }, 'belongs to'],
    [{ ...whole, key: null }, 'key'],
    [{ ...whole, key: { seal: 'none', seed: 'AAAA' } }, '32 bytes'],
    [{ ...whole, key: { seal: 'none', seed: `${whole.key.seed}!` } }, '32 bytes'],
    [{ ...whole, key: { seal: 'scrypt+aes-256-gcm', logN: 30, salt: '', nonce: '', sealed: '' } }, 'sealed in an unknown way'],
    [{ ...whole, key: { seal: 'scrypt+aes-256-gcm', logN: 17, salt: 'AA', nonce: 'AA', sealed: 'AA' } }, 'wrong length'],
  ]
  for (const [content, problem] of bad) {
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
    await expect(loadWallet(path, { passphrase: new Secret('x') })).rejects.toThrow(
      expect.objectContaining({ code: 'wallet.damaged', message: expect.stringContaining(problem) }),
    )
  }
})

test('a name is visible text', async () => {
  for (const name of ['', ' a', 'a\nb', 'x'.repeat(65)]) await expect(createWallet(place(), { name })).rejects.toThrow(code('bad_name'))
})
