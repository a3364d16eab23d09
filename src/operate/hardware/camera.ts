// Cameras of this machine: those of a Raspberry Pi by rpicam (libcamera), others by V4L2. A photo becomes a file of the media folder, named by us.
import { createHash } from 'node:crypto'
import { lstatSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { asFault, reasonOf } from '../../kernel/fault.ts'
import { makeFolder, moveFile, removeFile, setMode } from '../../kernel/file.ts'
import { randomId } from '../../kernel/random.ts'
import { type Host, type Unavailable, isKnown, known } from '../host.ts'
import { fault } from './faults.ts'
import type { Camera, CameraInfo, Photo, PhotoSettings } from './ports.ts'

const listTimeoutMs = 8_000
const maxNodes = 32
const maxPhotoBytes = 64 << 20
const photoName = /^photo-\d{8}T\d{6}Z-[\w-]+\.(?:jpg|png)$/

/** Lines such as `0 : imx708 [4608x2592 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx708@1a)` of `rpicam-hello --list-cameras`. */
export function parseRpicam(text: string): CameraInfo[] {
  return [...text.matchAll(/^\s*(\d{1,2}) : (\S+) \[([^\]]+)\]/gm)].map(([, index, sensor, modes]) => ({
    name: `rpicam${index}`,
    model: `${sensor} ${modes}`,
    through: 'rpicam',
  }))
}

/** Whether a node gives single JPEG pictures, by `v4l2-ctl --list-formats`. */
export function givesJpeg(text: string): boolean {
  return /'(?:MJPG|JPEG)'/.test(text)
}

/** The command that takes a photo into the file `path`; undefined for a name that is no camera's. */
export function photoArgv(camera: string, { width, height, quality }: PhotoSettings, path: string): [string, ...string[]] | undefined {
  const rpicam = /^rpicam(\d{1,2})$/.exec(camera)
  if (rpicam) {
    const size = ['--width', String(width), '--height', String(height), '--quality', String(quality)]
    return ['rpicam-still', '--nopreview', '--camera', rpicam[1]!, ...size, '--timeout', '1000', '--output', path]
  }
  if (!/^video\d{1,3}$/.test(camera)) return undefined
  const format = `--set-fmt-video=width=${width},height=${height},pixelformat=MJPG`
  return ['v4l2-ctl', '--device', `/dev/${camera}`, format, '--stream-mmap', '--stream-skip=5', '--stream-count=1', `--stream-to=${path}`]
}

export type MediaSettings = { readonly folder: string; readonly keep: number }

/** Has `make` write a new photo into the media folder; what it left that is no picture is removed, and the oldest photos make room. */
export async function keepPhoto(
  { clock }: { readonly clock: Clock },
  { folder, keep }: MediaSettings,
  ending: 'jpg' | 'png',
  make: (path: string) => Promise<void>,
): Promise<Photo> {
  makeFolder(folder, 0o750)
  const place = lstatSync(folder)
  // Whoever may replace the folder could have root write elsewhere
  if (!place.isDirectory() || place.uid !== process.getuid?.())
    throw fault.failed({ what: 'keeping a photo', reason: `${folder} is not a folder that belongs to the user this runs as` })
  const id = randomId(9)
  const part = join(folder, `.${id}.part`)
  try {
    await make(part)
    const sizeBytes = lstatSync(part).size
    if (sizeBytes === 0 || sizeBytes > maxPhotoBytes) throw fault.failed({ what: 'the photo', reason: `it has ${sizeBytes} bytes` })
    const bytes = await readFile(part)
    const isPicture = ending === 'jpg' ? bytes.readUInt16BE(0) === 0xff_d8 : bytes.toString('latin1', 1, 4) === 'PNG'
    if (!isPicture) throw fault.failed({ what: 'the photo', reason: `what was written is no ${ending} picture` })
    const stamp = new Date(clock.now()).toISOString().replace(/[-:]|\.\d+/g, '')
    const path = join(folder, `photo-${stamp}-${id}.${ending}`)
    setMode(part, 0o640)
    moveFile(part, path)
    const photos = readdirSync(folder)
      .filter((name) => photoName.test(name))
      .sort()
    for (const old of photos.slice(0, Math.max(0, photos.length - keep))) removeFile(join(folder, old))
    return {
      path,
      mediaType: ending === 'jpg' ? 'image/jpeg' : 'image/png',
      sizeBytes,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    }
  } catch (error) {
    removeFile(part)
    const code = reasonOf(error)
    if (code === 'ENOENT') throw fault.failed({ what: 'the photo', reason: 'the camera program wrote no file' }, error)
    throw error
  }
}

export function createCamera({ host, clock }: { readonly host: Host; readonly clock: Clock }, media: MediaSettings): Camera {
  let isBusy = false

  /** What the program prints, or why it cannot. */
  async function ask(argv: [string, ...string[]], timeoutMs: number): Promise<string | Unavailable> {
    try {
      const { exitCode, stdout, stderr } = await host.run(argv, timeoutMs)
      const said = `${stdout}\n${stderr}`
      return exitCode === 0 ? said : { unavailable: `${argv[0]} ended with ${exitCode}: ${said.trim().split('\n').at(-1)!.slice(0, 200)}` }
    } catch (error) {
      const { kind, code, message } = asFault(error)
      if (kind === 'bug') throw error
      return { unavailable: code === 'exec.not_found' ? `${argv[0]} is not installed` : message }
    }
  }

  async function v4l2(): Promise<CameraInfo[] | Unavailable> {
    const names = await host.names('/sys/class/video4linux')
    const nodes = (known(names) ?? []).filter((name) => /^video\d{1,3}$/.test(name)).slice(0, maxNodes)
    if (nodes.length === 0) return { unavailable: 'this machine has no /dev/video*' }
    const found: CameraInfo[] = []
    for (const name of nodes) {
      const formats = await ask(['v4l2-ctl', '--device', `/dev/${name}`, '--list-formats'], listTimeoutMs)
      if (!isKnown(formats)) return { unavailable: formats.unavailable }
      if (!givesJpeg(formats)) continue
      const model = known(await host.text(`/sys/class/video4linux/${name}/name`))?.trim() ?? name
      found.push({ name, model, through: 'v4l2' })
    }
    return found.length > 0 ? found : { unavailable: 'no /dev/video* gives JPEG pictures' }
  }

  return {
    async list() {
      const listed = await ask(['rpicam-hello', '--list-cameras'], listTimeoutMs)
      const rpicam = isKnown(listed) ? parseRpicam(listed) : []
      const others = await v4l2()
      const found = [...rpicam, ...(known(others) ?? [])]
      if (found.length > 0) return found
      const first = isKnown(listed) ? 'rpicam-hello finds no camera' : listed.unavailable
      return { unavailable: `${first}; ${isKnown(others) ? '' : others.unavailable}` }
    },
    async take(camera, settings, timeoutMs) {
      if (isBusy) throw fault.in_use({ what: `the camera ${camera}`, by: 'another photo that is being taken' })
      isBusy = true
      try {
        return await keepPhoto({ clock }, media, 'jpg', async (path) => {
          const argv = photoArgv(camera, settings, path)
          if (!argv) throw fault.absent({ what: `the camera ${camera}`, reason: 'there is no camera of this name' })
          const said = await ask(argv, timeoutMs)
          if (!isKnown(said)) throw fault.absent({ what: `the camera ${camera}`, reason: said.unavailable })
        })
      } finally {
        isBusy = false
      }
    },
  }
}
