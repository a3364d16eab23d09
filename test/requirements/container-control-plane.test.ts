// Plays docs/runbooks/container-control-plane.md on machines with systemd, and says which requirements of the runbook no step has proved.
import { metacryptImages } from '../script/metacrypt.ts'
import { type Machines, createMachines, imageRegistry, obstacle } from '../script/machines.ts'
import type { Acts } from '../script/play.ts'
import { containerControlPlane } from './container-control-plane.ts'
import { playPage } from './play-page.ts'

const acts: Acts = {}

playPage({
  file: 'container-control-plane.md',
  hosts: ['vade', 'rift', 'orion'],
  tools: ['make', 'curl', 'openssl'],
  place: { obstacle, create: (hosts) => createMachines(hosts, metacryptImages(imageRegistry)) },
  acts,
  requirements: containerControlPlane,
})
