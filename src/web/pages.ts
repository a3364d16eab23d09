// Every page of the dashboard, in the order of the navigation: made by scripts/generate.ts, do not edit (npm run generate).
import type { Page } from './page.ts'
import machine from './pages/machine.tsx'
import machines from './pages/machines.tsx'
import overview from './pages/overview.tsx'

export const pages: readonly (Page & { readonly id: string })[] = [
  { id: 'machine', ...machine },
  { id: 'machines', ...machines },
  { id: 'overview', ...overview },
].sort((a, b) => a.order - b.order)
