// The usual way to a server on another machine: an sshd of our own on loopback, with keys of its own, and a client that knows it.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { type Household, freePort, listens, until } from './children.ts'

const sshd = '/usr/sbin/sshd'

function isInstalled(): boolean {
  return existsSync(sshd) && existsSync('/usr/bin/ssh')
}

/** Installs Debian's OpenSSH if it can; false when it is not there and cannot be installed by us. */
function install(): boolean {
  if (isInstalled()) return true
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return false
  process.stderr.write('installing openssh-server and openssh-client\n')
  try {
    execFileSync('apt-get', ['install', '-y', '--no-install-recommends', 'openssh-server', 'openssh-client'], { stdio: 'ignore' })
  } catch {
    return false // no network, or no such package: said by the caller
  }
  return isInstalled()
}

/** The words that come before a remote command; faults with what to install when there is no OpenSSH. */
export async function startSsh(household: Household): Promise<readonly string[]> {
  if (!install()) throw new Error('OpenSSH is missing: install the packages openssh-server and openssh-client')
  const home = household.place('ssh')
  const at = (name: string): string => join(home, name)
  for (const key of ['host', 'user']) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(key)])
  const port = await freePort()
  const user = userInfo().username
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 }) // sshd's own need when root runs it
  writeFileSync(at('authorized'), readFileSync(at('user.pub')), { mode: 0o600 })
  writeFileSync(at('known'), `[127.0.0.1]:${port} ${readFileSync(at('host.pub'), 'utf8')}`)
  writeFileSync(
    at('sshd_config'),
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${at('host')}`,
      `AuthorizedKeysFile ${at('authorized')}`,
      'PidFile none',
      'StrictModes no',
      'UsePAM no',
    ]
      .concat([
        'PasswordAuthentication no',
        'KbdInteractiveAuthentication no',
        'PermitRootLogin prohibit-password',
        'MaxStartups 100',
        'LogLevel ERROR',
        '',
      ])
      .join('\n'),
  )
  writeFileSync(
    at('ssh_config'),
    [
      'Host bench',
      'HostName 127.0.0.1',
      `Port ${port}`,
      `User ${user}`,
      `IdentityFile ${at('user')}`,
      'IdentitiesOnly yes',
      `UserKnownHostsFile ${at('known')}`,
    ]
      .concat(['StrictHostKeyChecking yes', 'ControlMaster no', 'BatchMode yes', 'LogLevel ERROR', ''])
      .join('\n'),
  )
  const started = household.start([sshd, '-D', '-e', '-f', at('sshd_config')])
  await until(() => listens(port), 'sshd did not start', { hopeless: started.over })
  return ['ssh', '-F', at('ssh_config'), 'bench']
}
