// Every page of the dashboard, in the order of the navigation: made by scripts/generate.ts, do not edit (npm run generate).
import type { Page } from './page.ts'
import cache from './pages/cache.tsx'
import calls from './pages/calls.tsx'
import credentials from './pages/credentials.tsx'
import machine from './pages/machine.tsx'
import machines from './pages/machines.tsx'
import overview from './pages/overview.tsx'
import peers from './pages/peers.tsx'

export const pages: readonly (Page & { readonly id: string })[] = [
  { id: 'cache', ...cache },
  { id: 'calls', ...calls },
  { id: 'credentials', ...credentials },
  { id: 'machine', ...machine },
  { id: 'machines', ...machines },
  { id: 'overview', ...overview },
  { id: 'peers', ...peers },
].sort((a, b) => a.order - b.order)
