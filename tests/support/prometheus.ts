import { freePorts } from "./free_ports.ts";
import { noNet, noRun } from "./permissions.ts";
import { until } from "./until.ts";

/** Whether Prometheus is here. */
export const hasPrometheus = !noRun && !noNet && await isHere();

async function isHere(): Promise<boolean> {
  try {
    return (await new Deno.Command("prometheus", { args: ["--version"] }).output()).success;
  } catch {
    return false; // thrown before there is a promise
  }
}

/** A series as a query returns it: its labels, and its value. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [at: number, value: string];
}

/** A Prometheus that reads the metrics of a cless once a second. */
export class Prometheus implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #folder: string;
  readonly #url: string;

  private constructor(child: Deno.ChildProcess, folder: string, url: string) {
    this.#child = child;
    this.#folder = folder;
    this.#url = url;
  }

  /** Starts it, and waits until it answers. @param target Where the admin API is, such as `127.0.0.1:1323`. */
  static async start(target: string, tokenFile: string): Promise<Prometheus> {
    const folder = await Deno.makeTempDir({ prefix: "prometheus-" });
    const scraped = { job_name: "cless", authorization: { credentials_file: tokenFile } };
    const config = {
      global: { scrape_interval: "1s" },
      scrape_configs: [{ ...scraped, static_configs: [{ targets: [target] }] }],
    };
    await Deno.writeTextFile(`${folder}/prometheus.yml`, JSON.stringify(config)); // JSON is YAML
    const address = `127.0.0.1:${freePorts(1)}`;
    const child = new Deno.Command("prometheus", {
      args: [
        ...[`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`],
        `--web.listen-address=${address}`,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const prometheus = new Prometheus(child, folder, `http://${address}`);
    try {
      await until(() => prometheus.#isReady());
    } catch (error) {
      await prometheus[Symbol.asyncDispose]();
      throw error;
    }
    return prometheus;
  }

  /** What a query yields now. @throws {Error} With Prometheus' own words if it does not understand the query. */
  async query(query: string): Promise<Sample[]> {
    const { result } = await this.#ask<{ result: Sample[] }>(`query?query=${encodeURIComponent(query)}`);
    return result;
  }

  /** The values of a label among the series that a selector chooses. */
  async labelValues(label: string, selector: string): Promise<string[]> {
    return await this.#ask(`label/${label}/values?match[]=${encodeURIComponent(selector)}`);
  }

  async #ask<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#url}/api/v1/${path}`);
    const { data, error } = await response.json();
    if (!response.ok) throw new Error(`Prometheus refuses ${path}: ${error}`);
    return data;
  }

  async #isReady(): Promise<boolean> {
    try {
      const response = await fetch(`${this.#url}/-/ready`);
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false; // it does not listen yet
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await Deno.remove(this.#folder, { recursive: true });
  }
}
