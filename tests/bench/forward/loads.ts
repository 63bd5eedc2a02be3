/** What a load may cost; where a bar is missing there is none. */
export interface Bars {
  /** CPU per request, cless exact ÷ floor. */
  readonly exact?: number;
  /** CPU per request, cless fetch ÷ floor. */
  readonly fetch?: number;
  /** CPU per request, cless exact ÷ HAProxy: what is hoped for; nothing fails on it. */
  readonly haproxyAim?: number;
  /** Whether the p99 of cless exact has to be as good as Caddy's. */
  readonly p99?: boolean;
  /** MB/s, cless exact ÷ Caddy. */
  readonly throughput?: number;
  /** How much the memory of cless exact may grow, MB. */
  readonly grownMb?: number;
}

/** A kind of requests that each proxy is put under. */
export interface Load {
  /** For `--loads`, and for the heads of columns. */
  readonly id: string;
  readonly title: string;
  /** How many requests are there at once, each with a connection of its own. */
  readonly connections: number;
  /** How many bytes are asked for. */
  readonly download: number;
  /** How many bytes are sent instead, by POST; the app answers how many have arrived, and their checksum. */
  readonly upload?: number;
  /** Whether each request opens a connection of its own, which is closed after it. */
  readonly once?: boolean;
  readonly bars: Bars;
}

/** Bytes of a MB. */
export const MB = 1024 * 1024;

/** All loads, in the order in which they are run. */
export const LOADS: readonly Load[] = [
  {
    id: "12B",
    title: "GET of 12 bytes, 32 connections",
    connections: 32,
    download: 12,
    bars: { exact: 0.65, fetch: 1.2, haproxyAim: 2, p99: true },
  },
  { id: "12Bx256", title: "GET of 12 bytes, 256 connections", connections: 256, download: 12, bars: { p99: true } },
  { id: "post", title: "POST of 100 bytes, 32 connections", connections: 32, download: 0, upload: 100, bars: {} },
  {
    id: "connect",
    title: "GET of 12 bytes, each on a new connection, 32 at once",
    connections: 32,
    download: 12,
    once: true,
    bars: {},
  },
  { id: "20KB", title: "GET of 20 KB, 32 connections", connections: 32, download: 20 * 1024, bars: { exact: 1 } },
  {
    id: "1MB",
    title: "GET of 1 MB, 32 connections",
    connections: 32,
    download: MB,
    bars: { exact: 1.15, throughput: 0.8 },
  },
  {
    id: "100MB",
    title: "GET of 100 MB, 4 connections",
    connections: 4,
    download: 100 * MB,
    bars: { exact: 1.15, throughput: 0.8, grownMb: 100 },
  },
  {
    id: "upload",
    title: "POST of 100 MB with Content-Length, 4 connections",
    connections: 4,
    download: 0,
    upload: 100 * MB,
    bars: { exact: 1.15, throughput: 0.8, grownMb: 100 },
  },
];

/** The size of the bodies of a load, bytes. */
export function bodyBytes({ download, upload }: Load): number {
  return upload ?? download;
}
