// A daemon that has nothing but offers: `offering-daemon.ts FOLDER`; each line of its input is all that it offers from then on.
import { createInterface } from 'node:readline'
import { systemClock as clock } from '../../src/kernel/clock.ts'
import { silentLog as log } from '../../src/kernel/log.ts'
import { type Offer, OfferList } from '../../src/base/control/offers.ts'
import { openControl } from '../../src/base/control/server.ts'

const offers = new OfferList()
await openControl({ api: {}, handlers: {}, clock, log, offers }, { daemon: 'offering', folder: process.argv[2]! })
console.log('ready')
for await (const line of createInterface({ input: process.stdin })) offers.set(JSON.parse(line) as Offer[])
process.exit()
