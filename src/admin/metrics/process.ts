import { cpuUsage } from "node:process";
import { Counter, Gauge, type Registry } from "prom-client";

/** Adds what the process itself uses, under the names that Prometheus gives to it. */
export function registerProcess(registry: Registry): void {
  const registers = [registry];
  new Counter({
    name: "process_cpu_seconds_total",
    help: "Processor time used, by the program and by the system for it",
    registers,
    collect() {
      const { user, system } = cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  new Gauge({
    name: "process_start_time_seconds",
    help: "When the process was started, seconds since 1970",
    registers,
  }).set(performance.timeOrigin / 1000);
  new Gauge({
    name: "process_resident_memory_bytes",
    help: "Memory in use",
    registers,
    collect() {
      this.set(Deno.memoryUsage().rss);
    },
  });
  new Gauge({
    name: "process_heap_bytes",
    help: "Memory that JavaScript values take",
    registers,
    collect() {
      this.set(Deno.memoryUsage().heapUsed);
    },
  });
  new Gauge({
    name: "process_open_fds",
    help: "Open file descriptors; not known on every system",
    registers,
    async collect() {
      const count = await openFiles();
      if (count !== undefined) this.set(count);
      else this.remove();
    },
  });
}

async function openFiles(): Promise<number | undefined> {
  try {
    const names = await Array.fromAsync(Deno.readDir("/proc/self/fd"));
    return names.length - 1; // without the one that lists them
  } catch {
    return undefined;
  }
}
