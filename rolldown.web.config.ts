// Bundles the dashboard's pages for a browser, into dist/web: each file under a name that changes with what is in it, and compressed, so that the gate only sends.
import { hash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { type Plugin, defineConfig } from 'rolldown'

const source = join(import.meta.dirname, 'src/web')

/** Style sheets in the order in which they are joined: ours have the last word. */
const styles = [join(import.meta.dirname, 'node_modules/uplot/dist/uPlot.min.css'), join(source, 'style.css')]

function named(name: string, content: string): string {
  return name.replace('.', `-${hash('sha256', content, 'base64url').slice(0, 10)}.`)
}

/** Emits what is no script, and the page that names it all. */
const page: Plugin = {
  name: 'page',
  generateBundle(_, bundle) {
    const emit = (name: string, content: string): string => {
      const fileName = named(name, content)
      this.emitFile({ type: 'asset', fileName, source: content })
      return `/web/${fileName}`
    }
    const app = Object.values(bundle).find((one) => one.type === 'chunk' && one.isEntry)!.fileName
    const links: Readonly<Record<string, string>> = {
      'icon.svg': emit('icon.svg', readFileSync(join(source, 'icon.svg'), 'utf8')),
      'style.css': emit('style.css', styles.map((path) => readFileSync(path, 'utf8')).join('\n')),
      'app.js': `/web/${app}`,
    }
    const html = readFileSync(join(source, 'index.html'), 'utf8').replaceAll(/(?<=(?:href|src)=")[\w.]+(?=")/g, (name) => links[name]!)
    this.emitFile({ type: 'asset', fileName: 'index.html', source: html })
  },
  writeBundle({ dir }, bundle) {
    for (const name of Object.keys(bundle)) {
      const path = join(dir!, name)
      const bytes = readFileSync(path)
      writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }))
      writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }))
    }
  },
}

export const dashboard = defineConfig({
  input: { app: 'src/web/app.tsx' },
  platform: 'browser',
  plugins: [page],
  output: {
    dir: 'dist/web',
    format: 'esm',
    cleanDir: true,
    minify: true,
    comments: { legal: true },
    entryFileNames: '[name]-[hash].js',
    chunkFileNames: '[name]-[hash].js',
  },
})
