// nginx from Debian as a cache in front of an API: one worker, one question at a time for each key, answers kept apart by what the API's Vary names.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Household, freePort, listens, until } from './children.ts'

const configOf = (d: { folder: string; port: number; api: URL }): string => `daemon off;
${process.getuid?.() === 0 ? 'user root; # who else could not read the folder' : ''}
worker_processes 1;
pid ${d.folder}/pid;
error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${d.folder}/body; proxy_temp_path ${d.folder}/proxy; fastcgi_temp_path ${d.folder}/f; uwsgi_temp_path ${d.folder}/u; scgi_temp_path ${d.folder}/s;
  proxy_cache_path ${d.folder}/cache keys_zone=api:16m;
  keepalive_requests 1000000000;
  upstream api { server ${d.api.host}; keepalive 32; }
  server {
    listen 127.0.0.1:${d.port};
    location / {
      proxy_pass http://api;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache api;
      proxy_cache_key $request_uri;
      proxy_cache_lock on;
      proxy_cache_revalidate on;
      proxy_cache_valid 200 300s;
    }
  }
}
`

/** Its origin. */
export async function startNginx(household: Household, api: string): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  const folder = household.place('nginx')
  mkdirSync(join(folder, 'cache'))
  const port = await freePort()
  writeFileSync(join(folder, 'nginx.conf'), configOf({ folder, port, api: new URL(api) }))
  const started = household.start(['nginx', '-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')], {
    env: { PATH: `${process.env['PATH']}:/usr/sbin` },
  })
  await until(() => listens(port), 'nginx did not start', { hopeless: started.over })
  return { url: `http://127.0.0.1:${port}`, stop: started.stop }
}
