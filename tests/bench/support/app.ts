import type { DockerCommand } from "../../../src/docker/command.ts";
import { conventionImage, conventionRevision, type Revision } from "../../../src/model/revision.ts";
import { messageOf } from "../../../src/base/errors.ts";
import { BenchError } from "./errors.ts";
import type { Answer } from "./http_client.ts";
import { buildGo, howToInstall, TOOLS, versionOf } from "./tool.ts";

const SERVICE = "bench-app";
const IMAGE = conventionImage(SERVICE);
const SOURCE = `${import.meta.dirname}/../app`;
const BODY = "hello, bench";

/** The Host that leads to the app. */
export const APP_HOST = `${SERVICE}.localhost`;

/** @throws {BenchError} When an answer is not the app's. */
export function checkAnswer({ status, body }: Pick<Answer, "status" | "body">, from: string): void {
  if (status === 200 && body === BODY) return;
  throw new BenchError(`wrong answer from ${from}: status ${status}, ${JSON.stringify(body.slice(0, 80))}`);
}

/**
 * Makes the image of the app, which stays for the next run; where Go is missing, an image that is there must do.
 *
 * @param folder Where the parts are put together.
 * @returns What cless makes of the image.
 * @throws {BenchError} When it cannot be made.
 */
export async function buildApp(docker: DockerCommand, folder: string, signal: AbortSignal): Promise<Revision> {
  if (await versionOf(TOOLS.go) !== undefined) {
    const context = `${folder}/app`;
    await Deno.mkdir(context);
    await buildGo(SOURCE, `${context}/app`, signal);
    await Deno.copyFile(`${SOURCE}/Dockerfile`, `${context}/Dockerfile`);
    await docker.run(["build", "--quiet", `--tag=${IMAGE}`, context]).catch((error) => {
      throw new BenchError(`cannot build the image ${IMAGE}: ${messageOf(error)}`);
    });
  }
  const id = await docker.run(["image", "inspect", "--format={{.Id}}", IMAGE]).catch(() => {
    throw new BenchError(`${howToInstall(TOOLS.go)}; the app behind the proxies is built with it`);
  });
  return conventionRevision(SERVICE, id.trim(), {
    startTimeoutMs: 30_000,
    requestTimeoutMs: 30_000,
    clientTimeoutMs: 60_000,
    pauseAfterMs: Infinity,
    hibernateAfterMs: Infinity,
    stopAfterMs: Infinity,
    stopHibernatedAfterMs: Infinity,
  });
}
