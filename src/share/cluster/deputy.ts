// A member that others can come to: while its own host is gone, it is the host of those who are left.
import type { Cluster, Heard } from './cluster.ts'
import { type Host, type HostNeeds, createHost } from './host.ts'
import { type MemberNeeds, type MemberSettings, type Membership, createMembership } from './member.ts'

export type DeputyMember = Cluster & Pick<Membership, 'begun' | 'close'> & Pick<Host, 'accept'>

export function createDeputy(needs: HostNeeds & Omit<MemberNeeds, 'onChange'>, settings: MemberSettings): DeputyMember {
  const membership: Membership = createMembership(
    {
      ...needs,
      onChange(hasHost) {
        if (hasHost) return host.close()
        host.settle()
        for (const key of membership.asking) host.claim(key)
      },
    },
    settings,
  )
  const hasHost = (): boolean => membership.connected.length > 0
  const host: Host = createHost(needs, { isBusy: hasHost, before: () => membership.others() })
  return {
    begun: membership.begun,
    accept: host.accept,
    async want(key) {
      const got = await membership.want(key)
      if (got.is !== 'alone' || hasHost()) return got
      const offered = await host.want(key)
      if (offered.is === 'lease') membership.asking.add(key)
      return offered
    },
    done(...outcome) {
      membership.done(...outcome)
      host.done(...outcome)
    },
    forget(subjects) {
      membership.forget(subjects)
      host.forget(subjects)
    },
    hold(budget, sealed) {
      membership.hold(budget, sealed)
      host.hold(budget, sealed)
    },
    /** What the host says goes on to those who came here, and what they say to the host. */
    listen(heard) {
      membership.listen(both(heard, host))
      host.listen(both(heard, membership))
    },
    get connected() {
      return [...membership.connected, ...host.connected]
    },
    close() {
      host.close()
      return membership.close()
    },
  }
}

function both(one: Heard, other: Heard): Heard {
  return {
    forget(subjects) {
      one.forget(subjects)
      other.forget(subjects)
    },
    hold(budget, sealed) {
      one.hold(budget, sealed)
      other.hold(budget, sealed)
    },
  }
}
