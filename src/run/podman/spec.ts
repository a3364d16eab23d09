// What podman is asked to make of a component: a pure translation.
import type { ContainerSpec } from '../runtime.ts'

/** Keeps which image was asked for: podman itself only knows what that image is called by now. Taken out again of what is listed. */
export const imageLabel = 'fairlead.runtime.image'

/** What a container may have printed and still keep; podman begins the file anew then. */
const maxLogBytes = 16 << 20

/** Namespaces that podman has itself; every other word is the name of a network. */
const ownNetworks: ReadonlySet<string> = new Set(['host', 'none', 'private', 'slirp4netns', 'pasta'])
const cpuPeriodUs = 100_000

/** The body of `containers/create`. By the image's id: whatever its names come to mean, it is this image. */
export function podmanSpec(spec: ContainerSpec, imageId: string): Readonly<Record<string, unknown>> {
  const { name, image, labels, cmd, env, ports, volumes, network, user, restart, stopMs } = spec
  const isPath = (source: string): boolean => source.startsWith('/')
  const mode = (isReadOnly: boolean): string => (isReadOnly ? 'ro' : 'rw')
  return {
    name,
    image: imageId,
    labels: { ...labels, [imageLabel]: `${image.digest} ${image.reference}` },
    ...(cmd.length > 0 ? { command: cmd } : {}),
    env: Object.fromEntries(env.map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)])),
    portmappings: ports.map(({ address, hostPort, containerPort, protocol }) => ({
      host_ip: address,
      host_port: hostPort,
      container_port: containerPort,
      protocol,
    })),
    mounts: volumes
      .filter(({ source }) => isPath(source))
      .map(({ source, target, isReadOnly }) => ({ type: 'bind', source, destination: target, options: ['rbind', mode(isReadOnly)] })),
    volumes: volumes
      .filter(({ source }) => !isPath(source))
      .map(({ source, target, isReadOnly }) => ({ Name: source, Dest: target, Options: [mode(isReadOnly)] })),
    ...networkOf(network),
    ...(user === undefined ? {} : { user }),
    restart_policy: restart.policy,
    ...(restart.policy === 'on-failure' && restart.most > 0 ? { restart_tries: restart.most } : {}),
    ...limitsOf(spec),
    stop_timeout: secondsOf(stopMs),
    // a file, whatever the machine's default is: it can be read by whoever runs podman, and is bounded
    log_configuration: { driver: 'k8s-file', size: maxLogBytes },
  }
}

/** Podman waits for whole seconds: never less than was asked for. */
export function secondsOf(ms: number): number {
  return Math.ceil(ms / 1_000)
}

function networkOf(network: string | undefined): object {
  if (network === undefined) return {}
  return ownNetworks.has(network) ? { netns: { nsmode: network } } : { netns: { nsmode: 'bridge' }, Networks: { [network]: {} } }
}

function limitsOf({ memoryBytes, cpus, pids }: ContainerSpec): object {
  const limits = {
    ...(memoryBytes === undefined ? {} : { memory: { limit: memoryBytes } }),
    ...(cpus === undefined ? {} : { cpu: { quota: Math.round(cpus * cpuPeriodUs), period: cpuPeriodUs } }),
    ...(pids === undefined ? {} : { pids: { limit: pids } }),
  }
  return Object.keys(limits).length > 0 ? { resource_limits: limits } : {}
}
