// The devices of this machine as the configuration wants them: real, or simulated.
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Host } from '../host.ts'
import { createCamera } from './camera.ts'
import { createGpio } from './gpio.ts'
import { createI2c } from './i2c.ts'
import { createKeeper } from './keeper.ts'
import type { Hardware } from './ports.ts'
import type { HardwareSettings, SafeState } from './settings.ts'
import { simulatedHardware } from './simulated.ts'
import { readTemperatures } from './temperature.ts'

/** Nothing is started or opened before it is asked for. `gpio.close()` leaves what was set in its safe state. */
export function createHardware(
  needs: { readonly host: Host; readonly clock: Clock; readonly log: Log },
  { backend, camera }: HardwareSettings,
): Hardware {
  const { host } = needs
  const media = { folder: host.place(camera.media_root), keep: camera.keep_photos }
  if (backend === 'simulated') return simulatedHardware(needs, media)
  return {
    gpio: createGpio({ host, keeper: createKeeper(needs) }),
    i2c: createI2c({ host }),
    camera: createCamera(needs, media),
    temperatures: () => readTemperatures(host),
  }
}

/** What the configuration says that a line is left as. */
export function safeStateOf({ gpio }: HardwareSettings, chip: string, pin: number): SafeState {
  return gpio.safe_states[`${chip}:${pin}`] ?? 'input'
}
