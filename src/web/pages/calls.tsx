// What is called: as it happens, how often and how fast since the gate began, what is held back, and everything in its record.
import type { GateCalls } from '../../gate/client.ts'
import { useLive } from '../live.ts'
import { type PageNeeds, page } from '../page.ts'
import { Loaded } from '../shown/empty.tsx'
import { Counted } from '../traffic/counted.tsx'
import { Feed } from '../traffic/feed.tsx'
import { Quarantine } from '../traffic/quarantine.tsx'
import { Record } from '../traffic/record.tsx'

export default page({
  title: 'Calls',
  order: 3,
  icon: 'M4 5h16M4 12h10M4 19h13M18 10l3 2-3 2',
  View({ signed }: PageNeeds) {
    const counts = useLive<GateCalls, 'count-calls'>('gate', 'count-calls', {}, 2_000)
    return (
      <>
        <Loaded of={counts}>{(value) => <Counted counts={value} />}</Loaded>
        <Feed />
        <Quarantine signed={signed} />
        <Record />
      </>
    )
  },
})
