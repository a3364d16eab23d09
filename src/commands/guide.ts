// The pages of the guide, on the terminal: the same text as in docs/guide.
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { command } from '../base/terminal/command.ts'
import { nearest } from '../base/terminal/nearest.ts'
import { tableText } from '../base/terminal/table.ts'
import { faults } from '../kernel/fault.ts'
import { readText } from '../kernel/file.ts'

const fault = faults('guide', {
  no_page: (d: { topic: string; meant: string | undefined }) => ({
    kind: 'missing',
    message: `the guide has no page '${d.topic}'`,
    hint: d.meant ? `did you mean '${d.meant}'?` : 'all pages: fairlead guide',
  }),
  not_here: (d: { folder: string }) => ({
    kind: 'missing',
    message: `the pages of the guide are not beside this program (${d.folder})`,
    hint: 'they come with the npm package and with its source, in docs/guide; an executable that is one file has none',
  }),
})

export default command({
  summary: 'read the guide: a page, or which pages there are',
  description: '`fairlead help TOPIC` shows the same, where TOPIC is no command.',
  args: { topic: { summary: 'the name of a page; all of them are listed without it', optional: true } },
  examples: [
    ['fairlead guide', 'which pages there are'],
    ['fairlead guide troubleshooting', 'one of them'],
  ],
  async run({ terminal, self }, { args: { topic } }) {
    const folder = join(
      dirname(self.findLast((word) => word.endsWith('main.ts') || word.endsWith('main.js')) ?? self[0]),
      '..',
      'docs',
      'guide',
    )
    if (!existsSync(folder)) throw fault.not_here({ folder })
    const pages = readdirSync(folder)
      .flatMap((file) => (file.endsWith('.md') ? [file.slice(0, -'.md'.length)] : []))
      .sort()
    const textOf = (page: string): string => readText(join(folder, `${page}.md`)) ?? ''
    if (topic === undefined) {
      const listed = pages.map((page) => ({ topic: page, title: /^# (.*)$/m.exec(textOf(page))?.[1] ?? page }))
      return terminal.result({ pages: listed }, () => tableText(listed.map(({ topic: name, title }) => [name, title])))
    }
    if (!pages.includes(topic)) throw fault.no_page({ topic, meant: nearest(topic, pages) })
    const text = textOf(topic)
    terminal.result({ topic, text }, () => text.replaceAll(/^#+ .*$/gm, (heading) => terminal.style.bold(heading)).trimEnd())
  },
})
