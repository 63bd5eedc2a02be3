import { noEnv } from "../../support/permissions.ts";

/** A test that reads YAML; the library for it looks for a variable of its own, which bare `deno test` does not allow. */
export function yamlTest(name: string, fn: () => void): void {
  Deno.test({ name, ignore: noEnv, fn });
}

/** A file with every field. */
export const GOOD = `# all of them
services:
  golang:
    image: golang-docker
  more: # with everything
    image: ghcr.io/acme/more:v1
    port: 80
    env:
      MODE: fast
      KEY: |
        -----BEGIN
        END-----
    secretEnv: { TOKEN: more.token }
    command: [serve, "-v"]
    volumes:
      - source: data
        path: /data
    stopAfter: "0"
    pauseAfter: 30s
    readiness: { path: /ready }
    memory: 256m
    cpus: 0.5
    domains: [More.Example.org, example.com]
    revisionHistory: 3
    traffic: 10
    tag: v1
`;
