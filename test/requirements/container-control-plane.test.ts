// Plays docs/runbooks/container-control-plane.md on machines with systemd, and says which requirements of the runbook no step has proved.
import { createMachines, imageRegistry, obstacle } from '../script/machines.ts'
import { metacryptImages } from '../script/metacrypt.ts'
import { acts, metacryptToken } from './container-control-plane-acts.ts'
import { containerControlPlane } from './container-control-plane.ts'
import { playPage } from './play-page.ts'

playPage({
  file: 'container-control-plane.md',
  hosts: ['vade', 'rift', 'orion'],
  tools: ['make', 'curl', 'openssl'],
  place: { obstacle, create: (hosts) => createMachines(hosts, metacryptImages(imageRegistry)) },
  acts,
  requirements: containerControlPlane,
  given: () => ({ METACRYPT_TOKEN: metacryptToken }),
})
