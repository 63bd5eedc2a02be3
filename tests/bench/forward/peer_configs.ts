/** What a peer is started with. */
export interface Place {
  /** Of the loopback address. */
  readonly port: number;
  /** The app, such as `http://172.18.0.2:8080`. */
  readonly origin: string;
  /** For files that go with the bench. */
  readonly folder: string;
}

/** The Caddyfile of a proxy for whatever comes. */
export function caddyConfig({ origin, port }: Place): string {
  return caddyfile([{ address: `http://:${port}`, origin }]);
}

/** A Caddyfile as its manual has it, but with a pool that fits the load; by default it would keep 32 connections. */
export function caddyfile(sites: readonly { readonly address: string; readonly origin: string }[]): string {
  const blocks = sites.map(({ address, origin }) =>
    `${address} {
  bind 127.0.0.1
  reverse_proxy ${origin} {
    transport http {
      keepalive_idle_conns_per_host 256
    }
  }
}
`
  );
  return `{
  admin off
  auto_https off
}
${blocks.join("")}`;
}

/** One thread, and every idle connection serves whoever comes. */
export function haproxyConfig({ origin, port }: Place): string {
  return `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend bench
  bind 127.0.0.1:${port}
  default_backend app
backend app
  server app ${new URL(origin).host}
`;
}

/**
 * One process, which keeps its connections on both sides however many requests have gone over them, and neither
 * collects bodies nor writes them to disk. Where it may write is said for each kind, since its own folder is root's.
 */
export function nginxConfig({ folder, origin, port }: Place): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `daemon off;
master_process off;
worker_processes 1;
pid ${folder}/nginx.pid;
events {
  worker_connections 4096;
}
http {
  access_log off;
${temporary.map((kind) => `  ${kind}_temp_path ${folder}/${kind};`).join("\n")}
  client_max_body_size 0;
  keepalive_requests 1000000000;
  upstream app {
    server ${new URL(origin).host};
    keepalive 256;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
    }
  }
}
`;
}
