// Proves against Debian's gnome-keyring that the keychain keeps a passphrase, gives it back, and never hangs; and on a stand-in for macOS's `security` what that is told.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type TestKeyring, keyringMissing, startKeyring } from '../../../test/kit/keyring.ts'
import { Secret } from '../../kernel/secret.ts'
import { isItem, keychain, newItem } from './keychain.ts'
import { createWallet, loadWallet, readWalletCard, resealWallet } from './wallet.ts'

const code = (name: string) => expect.objectContaining({ code: `keychain.${name}` }) as Error
const secret = new Secret('corréct "horse" \\ $(x)\nbattery')
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keychain-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** A program in a folder that is the whole PATH, but for /bin and /usr/bin behind it. */
function program(name: string, script: string): Record<string, string> {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(folder, name), 0o755)
  return { PATH: `${folder}:/bin:/usr/bin`, HOME: folder }
}

describe('the Secret Service', () => {
  let home: string
  let real: TestKeyring
  beforeAll(async () => {
    if (keyringMissing) return
    home = mkdtempSync(join(tmpdir(), 'keyring-'))
    real = await startKeyring(home)
  })
  afterAll(async () => {
    if (keyringMissing) return
    await real.stop()
    rmSync(home, { recursive: true })
  })
  beforeEach(({ skip }) => skip(keyringMissing !== undefined, keyringMissing))
  const ours = () => keychain({ env: { PATH: process.env['PATH'], HOME: home, ...real.env }, platform: 'linux' })

  test('keeps any text, replaces nothing else, gives it back and forgets it', async () => {
    const [one, other] = [newItem(), newItem()]
    await ours().store(one, 'Fairlead: "Box"; --x', secret)
    await ours().store(other, '--label', new Secret('other'))
    expect([(await ours().lookup(one)).reveal(), (await ours().lookup(other)).reveal()]).toEqual([secret.reveal(), 'other'])
    expect(Buffer.from(real.secretOf(one), 'base64url').toString()).toBe(secret.reveal())
    await ours().remove(one)
    await ours().remove(one)
    expect(real.secretOf(one)).toBe('')
    await expect(ours().lookup(one)).rejects.toThrow(code('no_item'))
    await expect(ours().store(newItem(), 'long', new Secret('x'.repeat(2_049)))).rejects.toThrow(code('too_long'))
    const most = new Secret('é'.repeat(1_024))
    await ours().store(one, 'longest', most)
    expect((await ours().lookup(one)).reveal()).toBe(most.reveal())
  })

  test('seals a wallet whose key is nowhere else; the wallet names the item, and stays itself when that changes', async () => {
    const path = join(folder, 'w', 'wallet.json')
    const item = newItem()
    await ours().store(item, 'Fairlead: Box', secret)
    const { identity } = await createWallet(path, { name: 'Box', passphrase: secret, keychain: item })
    expect(readWalletCard(path)).toMatchObject({ isSealed: true, keychain: item })
    const passphrase = () => ours().lookup(item)
    const wallet = await loadWallet(path, { passphrase })
    expect(wallet.identity.peerId).toBe(identity.peerId)
    await resealWallet(path, wallet, readFileSync(path, 'utf8'), { passphrase: secret })
    expect(readWalletCard(path)).toMatchObject({ isSealed: true, keychain: undefined })
    writeFileSync(path, readFileSync(path, 'utf8').replace('"sealed":', '"keychain": "--help", "sealed":'))
    expect(() => readWalletCard(path)).toThrow(expect.objectContaining({ code: 'wallet.damaged' }) as Error)
  })

  test('that is locked says so at once, and asks nobody', async () => {
    const item = newItem()
    await ours().store(item, 'Box', secret)
    real.lock()
    const from = performance.now()
    await expect(ours().lookup(item)).rejects.toThrow(code('locked'))
    await expect(ours().store(newItem(), 'Box', secret)).rejects.toThrow(code('not_kept'))
    expect(performance.now() - from).toBeLessThan(4_000)
  })
})

test('no session, or no secret-tool: said at once, with what is missing', async () => {
  for (const PATH of [process.env['PATH'], folder]) {
    const none = keychain({ env: { PATH, HOME: folder, DISPLAY: ':0' }, platform: 'linux' })
    await expect(none.lookup(newItem())).rejects.toThrow(code('none'))
    await expect(none.store(newItem(), 'Box', secret)).rejects.toThrow(/keychain/)
  }
})

test('one that waits for somebody who never comes is given up', async () => {
  const waiting = keychain({ env: program('secret-tool', 'exec sleep 60'), platform: 'linux' }, { storeMs: 200 })
  await expect(waiting.store(newItem(), 'Box', secret)).rejects.toThrow(code('silent'))
})

/** Keeps what it is told beside itself. */
const stub = `
here=$(dirname "$0")
printf '%s\\n' "$*" >> "$here/argv"
case "$1" in
  -i) cat > "$here/stdin"; sed -n 's/.* -a \\([0-9a-f]*\\) .* -w \\(.*\\)$/\\1 \\2/p' "$here/stdin" >> "$here/items" ;;
  find-generic-password) [ -e "$here/locked" ] && { echo 'security: User interaction is not allowed.' >&2; exit 36; }
    sed -n "s/^$3 //p" "$here/items" 2>/dev/null | grep . || { echo 'could not be found' >&2; exit 44; } ;;
  delete-generic-password) rm -f "$here/items" ;;
esac`

test('macOS, with a stand-in for "security" that only checks argv and stdin: the secret is in no argv, comes back, and a locked one is told', async () => {
  const env = program('security', stub)
  const mac = keychain({ env, platform: 'darwin' })
  const item = newItem()
  await expect(mac.lookup(item)).rejects.toThrow(code('no_item'))
  await mac.store(item, 'Fairlead: "Box"\\', secret)
  const text = Buffer.from(secret.reveal()).toString('base64url')
  expect(readFileSync(join(folder, 'stdin'), 'utf8')).toBe(
    `add-generic-password -U -a ${item} -s fairlead -l "Fairlead_ _Box__" -w ${text}\n`,
  )
  expect((await mac.lookup(item)).reveal()).toBe(secret.reveal())
  const argv = readFileSync(join(folder, 'argv'), 'utf8')
  expect(argv).not.toContain(text.slice(0, 8))
  expect(argv).toContain(`find-generic-password -a ${item} -s fairlead -w\n`)
  mkdirSync(join(folder, 'locked'))
  await expect(mac.lookup(item)).rejects.toThrow(code('locked'))
  rmSync(join(folder, 'locked'), { recursive: true })
  await mac.remove(item)
  await expect(mac.lookup(item)).rejects.toThrow(code('no_item'))
})

test('what a keychain says is not repeated when it holds the secret', async () => {
  const text = Buffer.from(secret.reveal()).toString('base64url')
  const loud = keychain({ env: program('secret-tool', `echo "cannot keep $(cat)" >&2; exit 1`), platform: 'linux' })
  const refused = loud.store(newItem(), 'Box', secret)
  await expect(refused).rejects.toThrow(code('not_kept'))
  await expect(refused).rejects.not.toThrow(new RegExp(text.slice(0, 8)))
})

test('names of items are safe in argv', () => {
  expect(isItem(newItem())).toBe(true)
  for (const text of ['', '-h', '--help', 'a'.repeat(31), `${'a'.repeat(31)}\n`, 5, undefined]) expect(isItem(text)).toBe(false)
})
