// Usage: deno task picture. It takes eleven minutes, and needs root, Docker and the sample images.
import { build } from "../../support/docker.ts";
import { Program } from "../../support/program.ts";
import { PseudoTerminal } from "../../support/pseudo_terminal.ts";
import { pictureOf } from "../../support/screen_picture.ts";
import { SwapFile } from "../../support/swap_file.ts";
import { programArgs } from "../run_main.ts";

/** The bars are of ten minutes. */
const SECONDS = 10 * 60 + 30;

/** A service: its template, and how many requests per second it gets in each of the minutes. */
interface Played {
  readonly template: Record<string, unknown>;
  readonly rates: readonly number[];
}

const idle = (pauseAfter: string, hibernateAfter: string, stopAfter = "24h") => ({
  pauseAfter,
  hibernateAfter,
  stopAfter,
});

const SERVICES: Readonly<Record<string, Played>> = {
  api: { template: { image: "golang-docker" }, rates: [22, 26, 31, 28, 40, 55, 48, 37, 33, 41, 38] },
  shop: {
    template: { image: "python-docker", ...idle("8s", "1m") },
    rates: [3, 4, 4, 7, 9, 6, 5, 5, 8, 6, 7],
  },
  blog: {
    template: { image: "nodejs-docker", ...idle("6s", "2m") },
    rates: [0.1, 0.05, 0.1, 0.3, 0.1, 0.05, 0.2, 0.1, 0.1, 0.05, 0.05],
  },
  docs: {
    template: { image: "rust-docker", ...idle("5s", "25s") },
    rates: [0.03, 0.02, 0, 0.03, 0.02, 0.02, 0.03, 0, 0.02, 0, 0],
  },
  wiki: {
    template: { image: "java-docker", ...idle("10s", "40s") },
    rates: [0.4, 0.2, 0, 0, 0.3, 0.1, 0, 0, 0, 0, 0],
  },
  reports: {
    template: { image: "java-docker", ...idle("10s", "20s", "50s") },
    rates: [0.1, 0, 0, 0.1, 0, 0, 0.05, 0, 0, 0, 0],
  },
  "preview-42": { template: { image: "nodejs-docker", ...idle("5s", "10s", "30s") }, rates: [] },
};

/** By convention, this image makes a service that fails. */
const FAILING = `FROM python-docker
ENTRYPOINT ["python3", "-c", "raise SystemExit('DATABASE_URL is not set')"]`;

await using _swap = await SwapFile.make(`${await Deno.makeTempDir()}/swap`, 1024);
await using _image = await build("mailer-docker", FAILING);
await using program = await Program.start({ logLevel: "info" });
for (const [name, { template }] of Object.entries(SERVICES)) {
  const { status, text } = await program.send("PUT", `/v1/services/${name}`, template);
  if (status !== 201) throw new Error(`${name}: ${text}`);
}

const start = performance.now();
const clients = Object.entries({ ...SERVICES, mailer: { rates: [0, 0, 0, 0, 0, 0, 0, 0.2, 0.1, 0.1, 0.1] } });
await Promise.all(clients.map(async ([name, { rates }], at) => {
  for (let due = at * 70;;) { // not all at once
    const minute = Math.floor(due / 60_000);
    const rate = rates[minute] ?? 0;
    due = rate === 0 ? (minute + 1) * 60_000 : due + 1000 / rate;
    if (due > SECONDS * 1000) return;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due + start - performance.now())));
    if (rate > 0) await program.get(name);
  }
}));

// What is busy goes on meanwhile.
const busy = setInterval(() => void program.get("api"), 26);
const busyToo = setInterval(() => void program.get("shop"), 150);
try {
  const { hostname, port } = program.admin;
  const args = ["top", "--server", `http://${hostname}:${port}`, "--data-dir", program.dataDir];
  await using terminal = PseudoTerminal.start([Deno.execPath(), ...programArgs(...args)], { columns: 120, rows: 14 });
  await terminal.shows("q quit");
  await new Promise((resolve) => setTimeout(resolve, 12_000)); // until the rates are of this load alone
  const picture = pictureOf(terminal.screen, "cless top: services by state, with requests, times, memory and wakes");
  await Deno.writeTextFile(new URL("../../../docs/top.svg", import.meta.url), picture);
  console.log(terminal.screen.text);
  await terminal.press("q");
  await terminal.end();
} finally {
  clearInterval(busy);
  clearInterval(busyToo);
}
